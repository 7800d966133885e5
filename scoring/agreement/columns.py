"""A study's ratings as arrays: compact enough to be stored in one cell and added to."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from scoring.agreement.table import OVERALL, OVERALL_SCALE, SCALE, ScoreTable, score_table
from scoring.rubric import DIMENSION_KEYS

if TYPE_CHECKING:
    from scoring.agreement.table import Array

GAP = -1


@dataclass(frozen=True)
class GivenRating:
    """One rating by keys: ``at`` in seconds since 1970; ``scores`` in rubric points, gaps ``None`` or absent."""

    key: int
    text: int
    case: int
    rater: int
    repeat: bool
    at: float
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Columns:
    """One row per rating. ``levels``: rows × the six dimensions in their order, whole levels, −1 for a gap."""

    key: Array
    text: Array
    case: Array
    rater: Array
    repeat: Array
    at: Array
    levels: Array

    def __len__(self) -> int:
        return len(self.key)

    def packed(self) -> bytes:
        """As bytes, compressed; ``unpacked`` reads them."""
        import numpy as np

        stream = io.BytesIO()
        np.savez_compressed(stream, **{field.name: getattr(self, field.name) for field in fields(self)})
        return stream.getvalue()

    def plus(self, other: Columns) -> Columns:
        """With the rows of ``other`` whose keys are not here yet."""
        import numpy as np

        new = ~np.isin(other.key, self.key)
        return Columns(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)[new]]) for f in fields(self)))

    def firsts(self) -> Columns:
        return self._where(~self.repeat)

    def repeats(self) -> Columns:
        return self._where(self.repeat)

    def _where(self, kept: Array) -> Columns:
        return Columns(*(getattr(self, field.name)[kept] for field in fields(self)))

    def scored(self, dimension: str) -> Array:
        """Which rows have a value: of one dimension, or, for the overall mean, of all six."""
        if dimension == OVERALL:
            return (self.levels != GAP).all(axis=1)
        return self.levels[:, DIMENSION_KEYS.index(dimension)] != GAP

    def table(self, dimension: str) -> ScoreTable:
        """The scores of a dimension, or the unweighted means of the six where all are known."""
        kept = self.scored(dimension)
        if dimension == OVERALL:
            values, scale = self.levels[kept].mean(axis=1), OVERALL_SCALE
        else:
            values, scale = self.levels[kept, DIMENSION_KEYS.index(dimension)], SCALE
        return score_table(self.text[kept], self.rater[kept], self.case[kept], values, scale)


def columns_of(ratings: Sequence[GivenRating]) -> Columns:
    """Raises ``ValueError`` for a score that is not a whole level."""
    import numpy as np

    levels = np.full((len(ratings), len(DIMENSION_KEYS)), GAP, dtype=np.int8)
    for row, rating in enumerate(ratings):
        for place, key in enumerate(DIMENSION_KEYS):
            value = rating.scores.get(key)
            if value is not None:
                if value not in SCALE:
                    raise ValueError(f"{value} is not a level of the rubric")
                levels[row, place] = int(value)
    return Columns(
        key=np.array([rating.key for rating in ratings], dtype=np.int64),
        text=np.array([rating.text for rating in ratings], dtype=np.int64),
        case=np.array([rating.case for rating in ratings], dtype=np.int64),
        rater=np.array([rating.rater for rating in ratings], dtype=np.int64),
        repeat=np.array([rating.repeat for rating in ratings], dtype=bool),
        at=np.array([rating.at for rating in ratings], dtype=float),
        levels=levels,
    )


def unpacked(stored: bytes) -> Columns:
    """What ``Columns.packed`` wrote; nothing written is no row."""
    import numpy as np

    if not stored:
        return columns_of([])
    with np.load(io.BytesIO(stored), allow_pickle=False) as found:
        return Columns(*(found[field.name] for field in fields(Columns)))
