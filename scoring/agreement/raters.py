"""One rater against the others: how severe, how spread out, how constant, and whether that changes over time.

All of it on texts that others have scored too, in rubric points; the six dimensions taken together as their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scoring.intervals import LEVEL, Interval, mean_interval, t_quantile
from scoring.weighted_kappa import quadratic_kappa

if TYPE_CHECKING:
    from scoring.agreement.table import Array, ScoreTable

FEWEST_FOR_DRIFT = 10  # texts in each half


@dataclass(frozen=True)
class RaterFigures:
    """``None`` where there is nothing to tell it from.

    ``severity``: mean of her score less the mean of the others on the same text, interval over cases; below 0 she is
    stricter. ``spread``: standard deviation of her scores, ``others_spread`` that of theirs on the same texts.
    ``drift``: her severity in the later half of her texts less that in the earlier half.
    """

    texts: int
    severity: Interval
    spread: float | None
    others_spread: float | None
    drift: Interval


@dataclass(frozen=True)
class Consistency:
    """Her second scores of texts that came twice against her first, dimensions together."""

    texts: int
    kappa: float | None
    within_one: float | None


def rater_figures(table: ScoreTable, at: Array) -> dict[int, RaterFigures]:
    """Figures of every rater code that shares a text with somebody; ``at``: when each row was given, any unit."""
    import numpy as np

    values, per_item = table.values, table.per_item()
    added = np.bincount(table.items, values, minlength=table.item_number)
    shared = np.flatnonzero(per_item[table.items] > 1)
    others = (added[table.items[shared]] - values[shared]) / (per_item[table.items[shared]] - 1)
    found = {}
    for rater in np.unique(table.raters[shared]):
        mine = table.raters[shared] == rater
        rows, theirs = shared[mine], others[mine]
        order = np.argsort(at[rows], kind="stable")
        apart, cases = (values[rows] - theirs)[order], table.cases[rows][order]
        found[int(rater)] = RaterFigures(
            texts=len(rows),
            severity=mean_interval(apart.tolist(), cases.tolist()),
            spread=_deviation(values[rows]),
            others_spread=_deviation(theirs),
            drift=drift(apart.tolist(), cases.tolist()),
        )
    return found


def drift(apart: Sequence[float], cases: Sequence[int]) -> Interval:
    """Mean of the later half less that of the earlier, in the order of time; Welch's interval, clustered by case."""
    half = len(apart) // 2
    if half < FEWEST_FOR_DRIFT:
        return Interval(len(apart), None, None, None, "few_texts")
    early, late = mean_interval(apart[:half], cases[:half]), mean_interval(apart[half:], cases[half:])
    if early.mean is None or late.mean is None:
        return Interval(len(apart), None, None, None, "few_texts")
    change = late.mean - early.mean
    sides = [_error(early, len(set(cases[:half]))), _error(late, len(set(cases[half:])))]
    known = [side for side in sides if side is not None]
    total = sum(error**2 for error, _ in known)
    if len(known) < 2 or total == 0:
        return Interval(len(apart), change, None, None, "no_spread")
    degrees = total**2 / sum(error**4 / free for error, free in known)
    reach = t_quantile(0.5 + LEVEL / 2, max(1, int(degrees))) * total**0.5
    return Interval(len(apart), change, change - reach, change + reach)


def _error(mean: Interval, clusters: int) -> tuple[float, int] | None:
    """Its standard error and degrees of freedom, from the interval's width."""
    if mean.low is None or mean.high is None:
        return None
    return (mean.high - mean.low) / 2 / t_quantile(0.5 + LEVEL / 2, clusters - 1), clusters - 1


def consistency(twice: Sequence[tuple[Mapping[str, float | None], Mapping[str, float | None]]]) -> Consistency:
    """Of (first, second) scores of one text by one rater; a dimension that either left out is not compared."""
    pairs = [
        (a, b)
        for first, second in twice
        for key, a in first.items()
        if a is not None and (b := second.get(key)) is not None
    ]
    kappa = quadratic_kappa([a for a, _ in pairs], [b for _, b in pairs])
    near = sum(abs(a - b) <= 1 for a, b in pairs) / len(pairs) if pairs else None
    return Consistency(len(twice), kappa, near)


def _deviation(values: Array) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
