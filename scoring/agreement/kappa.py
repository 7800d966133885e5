"""Mean quadratic-weighted kappa over the pairs of raters who share enough texts.

Source: Cohen, Psychological Bulletin 70 (1968) 213-220, per pair as in ``scoring.weighted_kappa``; the unweighted mean
over pairs is Light's (Psychological Bulletin 76 (1971) 365-377).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array

FEWEST_SHARED = 30
_COLUMNS = 6


@dataclass(frozen=True)
class PairKappa:
    """Two raters by their codes, the items they share, and κ; ``None`` where both gave one and the same level."""

    first: int
    second: int
    shared: int
    kappa: float | None


class MeanKappa:
    """Over pairs with at least ``fewest`` shared items; a pair whose κ is undefined is left out of the mean."""

    key = "kappa"

    def __init__(self, fewest: int = FEWEST_SHARED) -> None:
        self.fewest = fewest

    def sums(self, table: ScoreTable) -> Any:
        """Per case and counted pair: n, Σx, Σy, Σx², Σy², Σ(x−y)²; cases × 6·pairs, sparse."""
        import numpy as np
        from scipy.sparse import csr_array

        first, second = table.pairs()
        pair = table.raters[first] * table.rater_number + table.raters[second]
        _codes, place, shared = np.unique(pair, return_inverse=True, return_counts=True)
        counted = shared >= self.fewest
        rank = np.cumsum(counted) - 1
        kept = counted[place]
        first, second, column = first[kept], second[kept], rank[place[kept]]
        middle = np.mean(table.scale)
        x, y = table.values[first] - middle, table.values[second] - middle
        data = np.stack([np.ones(len(x)), x, y, x * x, y * y, (x - y) ** 2], axis=1)
        columns = column[:, None] * _COLUMNS + np.arange(_COLUMNS)
        rows = np.broadcast_to(table.cases[first][:, None], columns.shape)
        shape = (table.case_number, _COLUMNS * int(counted.sum()))
        return csr_array((data.ravel(), (rows.ravel(), columns.ravel())), shape=shape)

    def value(self, sums: Array) -> Array:
        """The mean κ of each row; NaN where no pair has one."""
        import numpy as np

        found = _kappas(sums)
        known = ~np.isnan(found)
        count = known.sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(count > 0, np.where(known, found, 0).sum(-1) / count, np.nan)

    def pairs(self, table: ScoreTable) -> list[PairKappa]:
        """Every counted pair with its κ."""
        import numpy as np

        first, second = table.pairs()
        codes, shared = np.unique(table.raters[first] * table.rater_number + table.raters[second], return_counts=True)
        kept = shared >= self.fewest
        kappas = _kappas(np.asarray(self.sums(table).sum(axis=0)).reshape(-1))
        return [
            PairKappa(int(code) // table.rater_number, int(code) % table.rater_number, int(n), _known(kappa))
            for code, n, kappa in zip(codes[kept], shared[kept], kappas, strict=True)
        ]


def _kappas(sums: Array) -> Array:
    import numpy as np

    n, x, y, xx, yy, apart = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, _COLUMNS), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = (xx + yy) / n - 2 * x * y / n**2
        return np.where((n > 0) & (by_chance > 1e-9), 1 - apart / n / by_chance, np.nan)


def _known(value: float) -> float | None:
    return None if value != value else float(value)
