"""Intervals of agreement: the cases are drawn anew with replacement, with all their texts and scores.

Whole cases are drawn because scores of one case are not independent. Every coefficient is a function of sums over
cases, so a resample is a row of weights times those sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scoring.agreement.table import ScoreTable

if TYPE_CHECKING:
    from scoring.agreement.table import Array

LEVEL = 0.95
RESAMPLES = 2_000
SEED = 42
MOST_UNDEFINED = 0.05  # of the resamples; with more, an interval would describe only those that went well
AT_ONCE = 250
NO_PAIR, NO_SPREAD, TOO_FEW_PAIRS = "no_pair", "no_spread", "few_pairs"  # no value
ONE_CASE, UNSTABLE, ALL_ALIKE = "one_case", "unstable", "all_alike"  # no interval


class Statistic(Protocol):
    """A coefficient that is a function of sums over cases."""

    key: str

    def sums(self, table: ScoreTable) -> Any:
        """Cases × columns, dense or sparse."""
        ...

    def value(self, sums: Array) -> Array:
        """The coefficient of each row of added-up columns; NaN where it is undefined."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A coefficient over ``scores`` scores of ``texts`` texts in ``cases`` cases that can be compared.

    ``None`` is never 0: ``reason`` says why there is no value (``no_pair``, ``no_spread``, ``few_pairs``) or no
    interval (``one_case``, ``unstable``, ``all_alike``). ``undefined``: resamples without a value.
    """

    value: float | None
    low: float | None
    high: float | None
    scores: int
    texts: int
    cases: int
    reason: str = ""
    undefined: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def point(statistic: Statistic, table: ScoreTable) -> float | None:
    """The coefficient alone; ``None`` where it is undefined."""
    import numpy as np

    if not table.size:
        return None
    found = float(statistic.value(_total(statistic.sums(table))))
    return found if np.isfinite(found) else None


def estimate(statistic: Statistic, table: ScoreTable, *, resamples: int = RESAMPLES, seed: int = SEED) -> Estimate:
    """The coefficient with its 95 % interval, as ``bca_interval`` makes it.

    ``resamples`` 0 gives the value alone. The same table, number and seed give the same interval.
    """
    import numpy as np

    scores, texts, cases = comparable(table)
    if not scores:
        return Estimate(None, None, None, 0, 0, 0, NO_PAIR)
    sums = statistic.sums(table)
    if sums.shape[1] == 0:
        return Estimate(None, None, None, scores, texts, cases, TOO_FEW_PAIRS)
    value = float(statistic.value(_total(sums)))
    if not np.isfinite(value):
        return Estimate(None, None, None, scores, texts, cases, NO_SPREAD)
    if not resamples:
        return Estimate(value, None, None, scores, texts, cases)
    if cases < 2:
        return Estimate(value, None, None, scores, texts, cases, ONE_CASE)
    drawn = np.concatenate(
        [statistic.value(weights @ sums) for weights in case_weights(table.case_number, resamples, seed)]
    )
    known = drawn[np.isfinite(drawn)]
    undefined = resamples - len(known)
    if undefined > MOST_UNDEFINED * resamples:
        return Estimate(value, None, None, scores, texts, cases, UNSTABLE, undefined)
    if np.ptp(known) < 1e-12:  # an interval of no width would claim a certainty that nobody has
        return Estimate(value, None, None, scores, texts, cases, ALL_ALIKE, undefined)
    low, high = bca_interval(value, known, left_out(statistic, sums))
    return Estimate(value, low, high, scores, texts, cases, "", undefined)


def case_weights(cases: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each case is drawn: blocks of resamples × cases, the same for every statistic of a table."""
    import numpy as np

    random = np.random.default_rng(seed)
    for start in range(0, resamples, AT_ONCE):
        rows = min(AT_ONCE, resamples - start)
        drawn = random.integers(0, cases, size=(rows, cases)) + np.arange(rows)[:, None] * cases
        yield np.bincount(drawn.ravel(), minlength=rows * cases).reshape(rows, cases).astype(float)


def left_out(statistic: Statistic, sums: Any) -> Array:
    """The coefficient without each case in turn; cases that add nothing are left away."""
    import numpy as np

    dense = sums.toarray() if hasattr(sums, "toarray") else sums
    dense = dense[np.any(dense != 0, axis=1)]
    found = statistic.value(dense.sum(axis=0) - dense)
    return found[np.isfinite(found)]


def bca_interval(value: float, drawn: Array, jackknife: Array) -> tuple[float, float]:
    """Ends of the interval from the resampled values and those without each of m ≥ 2 cases.

    Bias-corrected and accelerated (Efron, JASA 82 (1987) 171-185), with tails widened from the normal to Student's t
    with m − 1 degrees of freedom and by √(m/(m−1)), for the resamples of few cases vary too little (Hesterberg,
    The American Statistician 69 (2015) 371-386). Plain percentiles cover too seldom: see ``bench/stats_coverage.py``.
    """
    import numpy as np
    from scipy.stats import norm, t

    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn == value) / 2) / len(drawn)
    bias = norm.ppf(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    apart = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    spread = float((apart**2).sum())
    acceleration = float((apart**3).sum()) / (6 * spread**1.5) if spread > 1e-30 else 0.0
    m = max(2, len(jackknife))
    wide = float(t.ppf((1 + LEVEL) / 2, m - 1)) * (m / (m - 1)) ** 0.5
    ends = bias + np.array([-wide, wide])
    places = norm.cdf(bias + ends / (1 - acceleration * ends))
    low, high = np.quantile(drawn, places)
    return float(low), float(high)


def comparable(table: ScoreTable) -> tuple[int, int, int]:
    """Scores, texts and cases of the texts that at least two raters scored."""
    import numpy as np

    per_item = table.per_item()
    kept = per_item[table.items] > 1 if table.size else np.zeros(0, dtype=bool)
    return int(kept.sum()), int((per_item > 1).sum()), len(np.unique(table.cases[kept]))


def _total(sums: Any) -> Array:
    import numpy as np

    return np.asarray(sums.sum(axis=0)).reshape(-1)
