"""Long lists of keys, asked for a part at a time.

A list states how many rows are meant. Of subqueries nested in subqueries a planner has to guess it, and where it
guesses one row it walks whole tables inside one another: minutes for what takes milliseconds.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

IN_ONE_STATEMENT = 500

Key = TypeVar("Key")


def in_parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """``keys`` in their order, at most ``IN_ONE_STATEMENT`` at a time."""
    for start in range(0, len(keys), IN_ONE_STATEMENT):
        yield keys[start : start + IN_ONE_STATEMENT]
