"""Rows of a table brought together by key, on disk: a large table is never held in memory."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

Row = dict[str, str]


def rows_by_key(rows: Iterable[Row], key_of: Callable[[Row], str]) -> Iterator[tuple[str, list[Row]]]:
    """Each key once, in the order of first appearance, with its rows in the table's order."""
    database = sqlite3.connect("")  # an unnamed temporary file that ends with the connection
    try:
        database.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, key TEXT, content TEXT)")
        database.executemany(
            "INSERT INTO row (key, content) VALUES (?, ?)", ((key_of(row), json.dumps(row)) for row in rows)
        )
        database.execute("CREATE INDEX by_key ON row (key, number)")
        ordered = database.execute(
            "SELECT row.key, row.content FROM row "
            "JOIN (SELECT key, MIN(number) AS first FROM row GROUP BY key) AS keys ON keys.key = row.key "
            "ORDER BY keys.first, row.number"
        )
        for key, found in groupby(ordered, key=lambda pair: pair[0]):
            yield key, [json.loads(content) for _, content in found]
    finally:
        database.close()
