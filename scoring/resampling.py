"""Paired differences of many models over the same cases: a studentised cluster bootstrap, all pairs at once.

Clusters (patients or lesions) are drawn with replacement, the same draws for every pair; a resample is a vector of
multinomial weights, so that every sum over it is one matrix product. Of each resample the difference is divided by its
own cluster-robust standard error; the interval is the difference ± the 95 % quantile of these |t|, and p the share of
them that reaches the observed one (symmetric bootstrap-t: Hall, The Bootstrap and Edgeworth Expansion, 1992, 3.5; error
as in ``scoring.intervals``). Interval and p are therefore one test: 0 lies outside exactly where p is at most 0.05.
Needs numpy: for workers, never for the web process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.intervals import LEVEL, NO_SPREAD, NO_VALUE, ONE_CLUSTER

RESAMPLES = 10_000
SEED = 20251122
CHUNK = 250  # resamples at once: 250 × 3,000 weights of 8 bytes stay in a processor's cache
METHOD = "studentised bootstrap of patients or lesions (symmetric t, multinomial weights), two-sided 95 %"
TOO_FEW = "too few patients or lesions differ for a bootstrap"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedDifference:
    """Mean of right minus left over ``n`` shared cases in ``clusters``, its error, interval and two-sided p.

    Everything but ``n`` and ``clusters`` is ``None`` where it is not known; ``reason`` says why.
    """

    n: int
    clusters: int
    mean: float | None
    error: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Residuals:
    """Per pair (rows) and cluster (columns): the sum of residuals and the number of cases; per pair the rest."""

    sums: Floats
    counts: Floats
    n: NDArray[np.int64]
    clusters: NDArray[np.int64]
    mean: Floats
    error: Floats


def paired_differences(
    values: ArrayLike,
    clusters: ArrayLike,
    pairs: Sequence[tuple[int, int]],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[PairedDifference]:
    """One difference per pair of rows (left, right), in order.

    ``values``: (rows, cases), NaN where a row has no value for a case; ``clusters``: a label per case, (cases,).
    Raises ``ValueError`` for shapes that do not fit and for infinite values.
    """
    table, labels = np.asarray(values, dtype=float), np.asarray(clusters)
    if table.ndim != 2 or labels.shape != (table.shape[1],):
        raise ValueError(f"values of shape {table.shape} do not fit {labels.shape} cluster labels")
    if np.isinf(table).any():
        raise ValueError("a value is infinite")
    if not pairs:
        return []
    left, right = (list(side) for side in zip(*pairs, strict=True))
    found = _residuals(table[right] - table[left], labels)
    known = found.error > 0
    reached = np.full((resamples, len(pairs)), np.inf)
    if known.any():
        reached[:, known] = _resampled_t(found, known, resamples, np.random.default_rng(seed))
    return [_difference(found, reached[:, row], row) for row in range(len(pairs))]


def cluster_weights(clusters: int, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each of ``clusters`` is drawn in each resample: (resamples, clusters), each row adds up to clusters."""
    drawn = rng.integers(0, clusters, (resamples, clusters))
    drawn += clusters * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * clusters).reshape(resamples, clusters).astype(float)


def weight_chunks(clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, Floats]]:
    """The weights of all resamples, some rows at a time."""
    for start in range(0, resamples, CHUNK):
        rows = slice(start, min(start + CHUNK, resamples))
        yield rows, cluster_weights(clusters, rows.stop - rows.start, rng)


def cluster_sums(values: Floats, labels: NDArray[Any]) -> Floats:
    """(rows, cases) added up by label: (rows, clusters), clusters in the labels' order."""
    _, codes = np.unique(labels, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _residuals(differences: Floats, labels: NDArray[Any]) -> _Residuals:
    present = ~np.isnan(differences)
    n = present.sum(axis=1)
    mean = np.where(present, differences, 0).sum(axis=1) / np.maximum(n, 1)
    apart = np.where(present, differences - mean[:, None], 0)
    counts = cluster_sums(present.astype(float), labels)
    sums = cluster_sums(apart, labels)
    m = (counts > 0).sum(axis=1)
    variance = m / np.maximum(m - 1, 1) * (sums**2).sum(axis=1) / np.maximum(n, 1) ** 2
    spread = np.abs(apart).max(axis=1, initial=0) > 1e-12
    return _Residuals(sums, counts, n, m, mean, np.where((m > 1) & spread, np.sqrt(variance), 0))


def _resampled_t(found: _Residuals, known: NDArray[np.bool_], resamples: int, rng: np.random.Generator) -> Floats:
    """|t| of every resample and every pair that has an error: (resamples, pairs); infinite where it has no spread."""
    sums, counts, m = found.sums[known].T, found.counts[known].T, found.clusters[known]
    factor = m / (m - 1)
    floor = 1e-12 * (sums**2).sum(axis=0)
    shared = bool((counts == counts[:, :1]).all())  # no case is missing anywhere: one column of counts serves all
    if shared:
        counts = counts[:, :1]
    squares, products, counted = sums**2, sums * counts, counts**2
    alone = shared and bool((counts == 1).all())
    reached = np.empty((resamples, sums.shape[1]))
    for rows, weights in weight_chunks(len(sums), resamples, rng):
        total, size = weights @ sums, weights @ counts
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = total / size
            crossed = total if alone else weights @ products
            spread = weights @ squares - 2 * shift * crossed + shift**2 * (weights @ counted)
            t = np.abs(total) / np.sqrt(factor * spread)
            reached[rows] = np.where((size > 0) & (spread > floor), t, np.inf)
    return reached


def _difference(found: _Residuals, reached: Floats, row: int) -> PairedDifference:
    n, m, error = int(found.n[row]), int(found.clusters[row]), float(found.error[row])
    if not n:
        return PairedDifference(0, 0, None, None, None, None, None, NO_VALUE)
    mean = float(found.mean[row])
    if not error:
        return PairedDifference(n, m, mean, None, None, None, None, NO_SPREAD if m > 1 else ONE_CLUSTER)
    rank = int(np.ceil(LEVEL * (len(reached) + 1))) - 1
    quantile = float(np.partition(reached, rank)[rank]) if rank < len(reached) else np.inf
    if not np.isfinite(quantile):
        return PairedDifference(n, m, mean, error, None, None, None, TOO_FEW)
    p = (1 + int((reached >= abs(mean) / error).sum())) / (len(reached) + 1)
    return PairedDifference(n, m, mean, error, mean - quantile * error, mean + quantile * error, p)
