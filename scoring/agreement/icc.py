"""Intraclass correlation for absolute agreement, from variance components of texts, raters and what is left.

Model: score = mean + text + rater + rest, texts and raters random, any gaps (raters differ from case to case).
Components by Henderson's method I (Biometrics 9 (1953) 226-252; Searle, Casella, McCulloch, Variance Components
(1992), 5.3): moments of sums of squares, unbiased, and on a complete table the usual analysis of variance, so that the
result is ICC(A,1) and ICC(A,k) of McGraw & Wong, Psychological Methods 1 (1996) 30-46.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array

_FIXED = 6  # columns before those of the raters


class AbsoluteICC:
    """``average`` ``False``: one rater's score; ``True``: the mean of as many as scored a text (harmonic mean, ≥ 2)."""

    def __init__(self, *, average: bool) -> None:
        self.average = average
        self.key = "icc_k" if average else "icc_1"

    def sums(self, table: ScoreTable) -> Array:
        """Per case: items, Σ scores per item², Σ y², Σ (item sum)²/n, items with two, Σ 1/n of these; per rater n, Σ y.

        y is the score less the table's mean, so that squares stay small.
        """
        import numpy as np

        number, raters = table.case_number, table.rater_number
        y = table.values - table.values.mean() if table.size else table.values
        m = table.per_item()
        case_of = np.zeros(table.item_number, dtype=int)
        case_of[table.items] = table.cases
        item_sum = np.bincount(table.items, y, minlength=table.item_number)
        several = m > 1

        def by_case(values: Array) -> Array:
            return np.bincount(case_of, values, minlength=number)

        fixed = [
            by_case(np.ones(len(m))),
            by_case(m.astype(float) ** 2),
            np.bincount(table.cases, y**2, minlength=number),
            by_case(item_sum**2 / m),
            by_case(several.astype(float)),
            by_case(np.where(several, 1 / m, 0)),
        ]
        cell = table.cases * raters + table.raters
        times = np.bincount(cell, minlength=number * raters).reshape(number, raters)
        added = np.bincount(cell, y, minlength=number * raters).reshape(number, raters)
        return np.column_stack([*fixed, times, added])

    def value(self, sums: Array) -> Array:
        """The correlation of each row; NaN with one rater, one text, no repeated text, or no variance at all."""
        import numpy as np

        item, rater, rest = components(sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            k = sums[..., 4] / sums[..., 5] if self.average else 1.0
            total = item + (rater + rest) / k
            return np.where(total > 1e-12, item / total, np.nan)


def components(sums: Array) -> tuple[Array, Array, Array]:
    """Variances of texts, of raters and of the rest, in squared rubric points; they may be estimated below 0."""
    import numpy as np

    raters = (sums.shape[-1] - _FIXED) // 2
    items, squared_sizes, squares, of_items = (sums[..., column] for column in range(4))
    times, added = sums[..., _FIXED : _FIXED + raters], sums[..., _FIXED + raters :]
    n = times.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_raters = np.where(times > 0, added**2 / times, 0).sum(-1)
        of_mean = added.sum(-1) ** 2 / n
        rater_and_rest = (squares - of_items) / (n - items)
        item_and_rest = (squares - of_raters) / (n - (times > 0).sum(-1))
        k_items, k_raters = n - squared_sizes / n, n - (times**2).sum(-1) / n
        left = squares - of_mean - k_items * item_and_rest - k_raters * rater_and_rest
        rest = left / (n - 1 - k_items - k_raters)
    return item_and_rest - rest, rater_and_rest - rest, rest
