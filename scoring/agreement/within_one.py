"""The share of pairs of scores of one text that lie at most one level apart. Plain, and not corrected for chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array


class WithinOne:
    """Over all pairs of raters of all items, each pair with the same weight; 0 to 1."""

    key = "within_one"

    def sums(self, table: ScoreTable) -> Array:
        """Per case: pairs, and pairs within one rubric point."""
        import numpy as np

        first, second = table.pairs()
        near = np.abs(table.values[first] - table.values[second]) <= 1 + 1e-9
        case, number = table.cases[first], table.case_number
        return np.stack([np.bincount(case, minlength=number), np.bincount(case, near, minlength=number)], axis=1)

    def value(self, sums: Array) -> Array:
        """The share for each row of added-up counts; NaN without a pair."""
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[..., 0] > 0, sums[..., 1] / sums[..., 0], np.nan)
