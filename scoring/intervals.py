"""Means with 95 % intervals, for values that come in clusters (cases of one patient, scores of one rater).

Student's t on the clusters: with m clusters, n values and mean x̄, the variance of x̄ is m/(m−1) · Σ (Σ(x − x̄) within a
cluster)² / n², with m − 1 degrees of freedom (linearisation; Cochran, Sampling Techniques, 3rd ed., 11.8). Where each
value is a cluster of its own this is the ordinary t interval. On a ``scale`` with ends the interval is made for the
logit of the mean's place and turned back, so that it never passes them (as survey packages do for shares: Korn and
Graubard, Analysis of Health Surveys, 1999, 3.2). Under two crossed clusterings, cases and raters, both variances are
added and that of their crossing is taken off (Cameron, Gelbach and Miller, J. Bus. Econ. Stat. 29, 2011).
What cannot be known is ``None`` with a reason, never 0.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Ends = tuple[float, float]
LEVEL = 0.95
METHOD = "Student's t over patients or lesions (cluster-robust, on the logit scale), two-sided 95 %"
NO_VALUE = "no value"
ONE_CLUSTER = "an interval needs values of at least two patients or lesions"
NO_SPREAD = "every value is the same, so their spread is not known"
FEWEST_RATERS = 5


@dataclass(frozen=True)
class Interval:
    """``n`` values and their mean; ``low`` and ``high`` are ``None`` where ``reason`` says why."""

    n: int
    mean: float | None
    low: float | None
    high: float | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CrossedInterval:
    """Scores by ``raters`` on ``clusters`` of cases; ``these_raters_only``: the interval says nothing of others."""

    interval: Interval
    clusters: int
    raters: int
    these_raters_only: bool


def mean_interval(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, *, scale: Ends | None = None
) -> Interval:
    """The mean of ``values`` and its interval. ``clusters``: one label per value; ``None``: each its own.

    ``scale``: the ends that no value passes. Raises ``ValueError`` for labels of another number, for values that are
    not finite or off the scale.
    """
    labels = range(len(values)) if clusters is None else clusters
    _check(values, labels, scale)
    if refused := _undefined(values, labels):
        return refused
    mean = fmean(values)
    error = math.sqrt(cluster_variance(values, labels, mean))
    return interval_around(len(values), mean, error, len(set(labels)) - 1, scale)


def crossed_interval(
    values: Sequence[float], clusters: Sequence[Hashable], raters: Sequence[Hashable], *, scale: Ends | None = None
) -> CrossedInterval:
    """The mean of scores with an interval for other cases *and* other raters.

    With fewer than ``FEWEST_RATERS`` raters their spread cannot be judged: the interval is then for these raters only,
    over cases. Degrees of freedom: the smaller number of clusters less one. Raises as ``mean_interval``.
    """
    _check(values, clusters, scale)
    _check(values, raters, scale)
    cases, people = len(set(clusters)), len(set(raters))
    if people < FEWEST_RATERS or _undefined(values, clusters):
        return CrossedInterval(mean_interval(values, clusters, scale=scale), cases, people, people < FEWEST_RATERS)
    mean = fmean(values)
    by_case, by_rater = cluster_variance(values, clusters, mean), cluster_variance(values, raters, mean)
    both = cluster_variance(values, list(zip(clusters, raters, strict=True)), mean)
    variance = max(by_case + by_rater - both, by_case, by_rater)  # the difference may fall below its parts by chance
    found = interval_around(len(values), mean, math.sqrt(variance), min(cases, people) - 1, scale)
    return CrossedInterval(found, cases, people, False)


def paired_interval(
    first: Mapping[Key, float],
    second: Mapping[Key, float],
    clusters: Mapping[Key, Hashable] | None = None,
) -> Interval:
    """Mean of ``second`` minus ``first`` over the keys that both have, and its interval; keys name cases."""
    shared = [key for key in first if key in second]
    labels = None if clusters is None else [clusters[key] for key in shared]
    return mean_interval([second[key] - first[key] for key in shared], labels)


def _check(values: Sequence[float], labels: Sequence[Hashable], scale: Ends | None) -> None:
    if len(labels) != len(values):
        raise ValueError(f"{len(values)} values have {len(labels)} cluster labels")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a value is not a finite number")
    if scale is not None and not all(scale[0] <= value <= scale[1] for value in values):
        raise ValueError(f"a value lies outside the scale from {scale[0]:g} to {scale[1]:g}")


def _undefined(values: Sequence[float], labels: Sequence[Hashable]) -> Interval | None:
    """The answer where there is no interval."""
    if not values:
        return Interval(0, None, None, None, NO_VALUE)
    if len(set(labels)) < 2:
        return Interval(len(values), fmean(values), None, None, ONE_CLUSTER)
    if len(set(values)) == 1:
        return Interval(len(values), fmean(values), None, None, NO_SPREAD)
    return None


def cluster_variance(values: Sequence[float], labels: Sequence[Hashable], mean: float) -> float:
    """Of the mean of values in at least two clusters; see the module."""
    residuals: dict[Hashable, float] = defaultdict(float)
    for label, value in zip(labels, values, strict=True):
        residuals[label] += value - mean
    m = len(residuals)
    return m / (m - 1) * math.fsum(r * r for r in residuals.values()) / len(values) ** 2


def interval_around(n: int, mean: float, error: float, degrees: int, scale: Ends | None) -> Interval:
    reach = t_quantile(0.5 + LEVEL / 2, degrees) * error
    if scale is None:
        return Interval(n, mean, mean - reach, mean + reach)
    low, high = scale
    share = (mean - low) / (high - low)
    logit, half = math.log(share / (1 - share)), reach / (high - low) / (share * (1 - share))
    ends = [low + (high - low) / (1 + math.exp(-min(700.0, max(-700.0, logit + side * half)))) for side in (-1, 1)]
    return Interval(n, mean, ends[0], ends[1])


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t; scipy is imported here so that the web process never does."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees))
