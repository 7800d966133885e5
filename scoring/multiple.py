"""Many comparisons at once: Holm's correction, tie groups as letters, and ranges of ranks instead of false ranks."""

from collections.abc import Collection, Sequence
from string import ascii_lowercase

ALPHA = 0.05


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p adjusted so that the chance of any false difference stays below the level (Holm, 1979); ``None`` stays.

    What could not be tested is no member of the family. Raises ``ValueError`` for a p outside 0 to 1.
    """
    if any(not 0 <= p <= 1 for p in values if p is not None):
        raise ValueError("a p-value lies between 0 and 1")
    order = sorted((p, index) for index, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for step, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * p))
        adjusted[index] = largest
    return adjusted


def tie_letters(means: Sequence[float | None], different: Collection[tuple[int, int]]) -> list[str]:
    """Letters per item, the best group first: two items share a letter exactly where they are not ``different``.

    Insert and absorb (Piepho, J. Comput. Graph. Stat. 13, 2004). An item without a mean has no letter.
    """
    known = [index for index, mean in enumerate(means) if mean is not None]
    groups = [frozenset(known)] if known else []
    for left, right in sorted(tuple(sorted(pair)) for pair in different):
        split = [part for group in groups for part in _without(group, left, right)]
        groups = [group for group in split if not any(group < other for other in split)]
        groups = list(dict.fromkeys(groups))
    best = sorted(groups, key=lambda group: sorted((-(means[index] or 0.0), index) for index in group))
    return [
        "".join(_letter(number) for number, group in enumerate(best) if index in group) for index in range(len(means))
    ]


def _without(group: frozenset[int], left: int, right: int) -> list[frozenset[int]]:
    """The group, or its two halves where it holds both of a pair that differs."""
    return [group - {left}, group - {right}] if left in group and right in group else [group]


def _letter(number: int) -> str:
    turns, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turns + 1) if turns else "")


def rank_ranges(means: Sequence[float | None], different: Collection[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """Best and worst rank per item that the proven differences leave open; 1 is best, ``None`` without a mean."""
    known = [index for index, mean in enumerate(means) if mean is not None]
    better = dict.fromkeys(known, 0)
    worse = dict(better)
    for left, right in different:
        above, below = (left, right) if (means[left] or 0.0) > (means[right] or 0.0) else (right, left)
        better[below] += 1
        worse[above] += 1
    return [
        None if mean is None else (1 + better[index], len(known) - worse[index]) for index, mean in enumerate(means)
    ]
