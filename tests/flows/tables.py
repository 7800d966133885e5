"""What our tables look like, to compare those that migrations make with those that models ask for.

Django's own are left out: on PostgreSQL its migrations give a key of theirs another width than its models do.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

OURS = ("accounts_", "scoring_", "modelhub_")
UNNAMED = ("fk_", "__unnamed_constraint_")  # SQLite numbers these in the order of their making


def tables(connection: BaseDatabaseWrapper) -> dict[str, dict[str, Any]]:
    """By table: its columns, each with its type and whether it may be null; its constraints and indexes."""
    with connection.cursor() as cursor:
        found = {
            name: {"columns": _columns(connection, cursor, name)} | _constraints(connection, cursor, name)
            for name in connection.introspection.table_names(cursor)
            if name.startswith(OURS)
        }
    assert {name.partition("_")[0] + "_" for name in found} == set(OURS)
    return found


def _columns(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    described = connection.introspection.get_table_description(cursor, table)
    return {column.name: (column.type_code, column.display_size, column.null_ok) for column in described}


def _constraints(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> dict[str, Any]:
    found = connection.introspection.get_constraints(cursor, table)
    return {
        "constraints": sorted(
            repr(("" if name.startswith(UNNAMED) else name, sorted(facts.items()))) for name, facts in found.items()
        )
    }
