"""Krippendorff's alpha for ordered levels; gaps are allowed.

Source: Krippendorff, Content Analysis, 4th ed. (2018), ch. 12. The ordinal distance of two levels is the distance of
their middle ranks among all scores that can be paired, so it follows from the coincidences alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array


class OrdinalAlpha:
    """α = 1 − observed ÷ expected disagreement; 1 is full agreement, 0 chance, below 0 worse than chance."""

    key = "alpha"

    def sums(self, table: ScoreTable) -> Any:
        """Coincidences of levels per case: cases × levels², sparse. A pair of an item with m scores adds 1/(m−1)."""
        from scipy.sparse import csr_array

        count = len(table.scale)
        first, second = table.pairs()
        share = 1.0 / (table.per_item()[table.items[first]] - 1)
        one, other, case = table.levels[first], table.levels[second], table.cases[first]
        return csr_array(
            (_twice(share), (_twice(case), _join(one * count + other, other * count + one))),
            shape=(table.case_number, count * count),
        )

    def value(self, sums: Array) -> Array:
        """α of each row of added-up coincidences; NaN without a pair and where all scores are one level."""
        import numpy as np

        count = round(sums.shape[-1] ** 0.5)
        together = sums.reshape(*sums.shape[:-1], count, count)
        times = together.sum(-1)
        total = times.sum(-1)
        rank = np.cumsum(times, axis=-1) - times / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            rank = rank - ((times * rank).sum(-1) / total)[..., None]
            squares = (times * rank**2).sum(-1)
            observed = 2 * squares - 2 * np.einsum("...ij,...i,...j->...", together, rank, rank)
            expected = 2 * total * squares / (total - 1)
            alpha = 1 - observed / expected
        one_level = (times > 1e-9).sum(-1) < 2
        return np.where(one_level, np.nan, alpha)


def _twice(values: Array) -> Array:
    return _join(values, values)


def _join(first: Array, second: Array) -> Array:
    import numpy as np

    return np.concatenate([first, second])
