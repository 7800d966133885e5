"""Means with 95 % intervals, for values that may come in clusters (several cases of one patient).

Student's t on the clusters: with m clusters, n values and mean x̄, the variance of x̄ is m/(m−1) · Σ (Σ(x − x̄) within a
cluster)² / n², with m − 1 degrees of freedom (linearisation; Cochran, Sampling Techniques, 3rd ed., 11.8). Where every
value is a cluster of its own this is the ordinary t interval. What cannot be known is ``None`` with a reason, never 0.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
LEVEL = 0.95
METHOD = "Student's t over patients or lesions (cluster-robust), two-sided 95 %"
NO_VALUE = "no value"
ONE_CLUSTER = "an interval needs values of at least two patients or lesions"
NO_SPREAD = "every value is the same, so their spread is not known"


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


def mean_interval(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Interval:
    """The mean of ``values`` and its interval. ``clusters``: one label per value; ``None``: each its own.

    Raises ``ValueError`` for labels of another number and for values that are not finite.
    """
    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"{len(values)} values have {len(clusters)} cluster labels")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a value is not a finite number")
    if not values:
        return Interval(0, None, None, None, NO_VALUE)
    mean = fmean(values)
    residuals: dict[Hashable, float] = defaultdict(float)
    for label, value in zip(clusters if clusters is not None else range(len(values)), values, strict=True):
        residuals[label] += value - mean
    if len(residuals) < 2:
        return Interval(len(values), mean, None, None, ONE_CLUSTER)
    if len(set(values)) == 1:
        return Interval(len(values), mean, None, None, NO_SPREAD)
    m = len(residuals)
    error = math.sqrt(m / (m - 1) * math.fsum(r * r for r in residuals.values())) / len(values)
    half = t_quantile(0.5 + LEVEL / 2, m - 1) * error
    return Interval(len(values), mean, mean - half, mean + half)


def paired_interval(
    first: Mapping[Key, float],
    second: Mapping[Key, float],
    clusters: Mapping[Key, Hashable] | None = None,
) -> Interval:
    """Mean of ``second`` minus ``first`` over the keys that both have, and its interval; keys name cases."""
    shared = [key for key in first if key in second]
    labels = None if clusters is None else [clusters[key] for key in shared]
    return mean_interval([second[key] - first[key] for key in shared], labels)


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t; scipy is imported here so that the web process never does."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees))
