"""Long lists of rows or keys, taken a part at a time.

A list of keys states how many rows are meant. Of subqueries nested in subqueries a planner has to guess it, and where
it guesses one row it walks whole tables inside one another: minutes for what takes milliseconds.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

IN_ONE_STATEMENT = 500

T = TypeVar("T")


def in_parts(items: Iterable[T]) -> Iterator[list[T]]:
    """``items`` in their order, at most ``IN_ONE_STATEMENT`` at a time."""
    rest = iter(items)
    while part := list(islice(rest, IN_ONE_STATEMENT)):
        yield part
