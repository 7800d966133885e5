"""The table that agreement is computed from: one row per given score, gaps simply absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scoring.rubric import DIMENSION_KEYS, LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

OVERALL = "overall"
SCALE: tuple[float, ...] = tuple(float(level) for level in LEVELS)
_SIXTHS = len(DIMENSION_KEYS)
OVERALL_SCALE: tuple[float, ...] = tuple(
    step / _SIXTHS for step in range(LEVELS[0] * _SIXTHS, LEVELS[-1] * _SIXTHS + 1)
)


@dataclass(frozen=True)
class ScoreTable:
    """Scores on an ordered scale: arrays of one length, each row one score of one text by one rater.

    ``items``, ``raters`` and ``cases`` are codes from 0 without holes; every item belongs to one case. ``levels`` are
    places in ``scale`` (rubric points, rising). A rater scores an item at most once.
    """

    items: Array
    raters: Array
    cases: Array
    levels: Array
    scale: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.items)

    @property
    def item_number(self) -> int:
        return int(self.items.max()) + 1 if self.size else 0

    @property
    def rater_number(self) -> int:
        return int(self.raters.max()) + 1 if self.size else 0

    @property
    def case_number(self) -> int:
        return int(self.cases.max()) + 1 if self.size else 0

    @property
    def values(self) -> Array:
        """Rubric points, one per row."""
        import numpy as np

        return np.asarray(self.scale)[self.levels]

    def per_item(self) -> Array:
        """How many raters scored each item."""
        import numpy as np

        return np.bincount(self.items, minlength=self.item_number)

    def pairs(self) -> tuple[Array, Array]:
        """Rows that are two scores of one item by two raters: each unordered pair once, the lower rater first."""
        import numpy as np

        order = np.lexsort((self.raters, self.items))
        items = self.items[order]
        first, second = [], []
        for step in range(1, int(self.per_item().max(initial=0))):
            together = np.flatnonzero(items[step:] == items[:-step])
            first.append(order[together])
            second.append(order[together + step])
        none = np.zeros(0, dtype=int)
        return np.concatenate([none, *first]), np.concatenate([none, *second])


def score_table(
    items: Sequence[Any] | Array,
    raters: Sequence[Any] | Array,
    cases: Sequence[Any] | Array,
    values: Sequence[float] | Array,
    scale: Sequence[float] = SCALE,
) -> ScoreTable:
    """A table from labels of any kind and scores in rubric points.

    Raises ``ValueError`` for a score that is not a level of ``scale`` and for a rater who scores an item twice.
    """
    import numpy as np

    ladder, given = np.asarray(scale, dtype=float), np.asarray(values, dtype=float)
    levels = np.clip(np.searchsorted(ladder, given - 1e-6), 0, len(ladder) - 1)
    wrong = np.flatnonzero(~(np.abs(ladder[levels] - given) < 1e-6))
    if len(wrong):
        raise ValueError(f"{given[wrong[0]]} is not a level of the scale {ladder[0]:g} to {ladder[-1]:g}")
    item_codes, rater_codes, case_codes = (_codes(labels) for labels in (items, raters, cases))
    if len({len(column) for column in (item_codes, rater_codes, case_codes, levels)}) != 1:
        raise ValueError("items, raters, cases and values must be of one length")
    once = np.unique(item_codes.astype(np.int64) * (rater_codes.max(initial=0) + 1) + rater_codes)
    if len(once) != len(item_codes):
        raise ValueError("a rater scores an item more than once")
    return ScoreTable(item_codes, rater_codes, case_codes, levels, tuple(float(step) for step in ladder))


def _codes(labels: Sequence[Any] | Array) -> Array:
    import numpy as np

    return np.unique(np.asarray(labels), return_inverse=True)[1].reshape(-1)
