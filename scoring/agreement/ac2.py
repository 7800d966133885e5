"""Gwet's AC2 with quadratic weights: agreement beyond chance that does not break down near the ceiling.

Source: Gwet, Handbook of Inter-Rater Reliability, 4th ed. (2014), ch. 5 (gaps: eq. 5.3.5 ff.). Chance agreement is
T/(q(q−1)) · Σ π(1−π), T the sum of all weights, q the number of levels *of the scale*, π a level's mean share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array


class GwetAC2:
    """For one scale, in rubric points, rising; weights 1 − (distance ÷ largest distance)²."""

    key = "ac2"

    def __init__(self, scale: tuple[float, ...]) -> None:
        self.scale = scale

    def sums(self, table: ScoreTable) -> Array:
        """Per case: Σ of its items' observed agreement, items with two scores, items, and Σ of shares per level."""
        import numpy as np

        ladder, per_item, number = np.asarray(table.scale), table.per_item(), table.case_number
        first, second = table.pairs()
        weight = 1 - ((table.values[first] - table.values[second]) / (ladder[-1] - ladder[0])) ** 2
        m = per_item[table.items[first]]
        observed = np.bincount(table.cases[first], 2 * weight / (m * (m - 1)), minlength=number)
        shares = np.zeros((number, len(ladder)))
        np.add.at(shares, (table.cases, table.levels), 1 / per_item[table.items])
        case_of = np.zeros(table.item_number, dtype=int)
        case_of[table.items] = table.cases
        paired = np.bincount(case_of[per_item > 1], minlength=number)
        return np.column_stack([observed, paired, np.bincount(case_of, minlength=number), shares])

    def value(self, sums: Array) -> Array:
        """AC2 of each row of added-up sums; NaN where no item has two scores."""
        import numpy as np

        ladder = np.asarray(self.scale)
        q = len(ladder)
        total = (1 - ((ladder[:, None] - ladder[None, :]) / (ladder[-1] - ladder[0])) ** 2).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            share = sums[..., 3:] / sums[..., 2, None]
            chance = total / (q * (q - 1)) * (share * (1 - share)).sum(-1)
            found = (sums[..., 0] / sums[..., 1] - chance) / (1 - chance)
        return np.where(sums[..., 1] > 0, found, np.nan)
