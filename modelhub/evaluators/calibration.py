"""An evaluator's scores against physicians' means of the same texts; numpy and scipy, so for workers only.

The mean error alone proves nothing where nearly every score is a 5: *skill* is 1 − (mean absolute error of the
evaluator) / (that of the best constant, the physicians' median). A constant can have no skill above 0. Intervals are
percentile bootstraps over patients or lesions (95 %), the constant chosen anew in each resample.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.intervals import mean_interval

Floats = NDArray[np.float64]
RESAMPLES, SEED = 2_000, 42
CELLS = 4_000_000  # of one block of resamples
LEAST = 10  # texts with both scores, below which nothing is said
LEAST_IN_GROUP = 30  # the same for a part of the texts: a condition, a skin tone, a source
TOO_FEW = "fewer than {least} texts have both scores"
ALL_EQUAL = "the physicians' scores are all the same, so a constant makes no error"
ONE_CLUSTER = "all texts are of one patient or lesion"
NO_RANKS = "one side gives the same score to every text"
NO_KAPPA = "both sides give one and the same score to every text"
SCALE = (0.0, 5.0)
BINS = (0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0)


def calibrate(
    machine: Floats, physicians: Floats, clusters: NDArray[np.int64], *, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Plain data. ``machine``, ``physicians``: (n,), 0 to 5, the latter the mean of a text's first sealed ratings.

    What :func:`compare` gives and ``curve``: by the machine's score, ``from``, ``to``, ``n``, ``machine`` (mean) and
    ``physicians`` (mean with its interval); ``linear`` and ``isotonic``: what a correction fitted on one half of the
    patients leaves on the other half, both ways (``mae``, ``skill``), and its line or steps fitted on all.
    """
    found = {"curve": curve(machine, physicians, clusters), **compare(machine, physicians, clusters, resamples)}
    if found["reason"]:
        return found
    index, count = numbered(clusters)
    draw = Resamples(index, count, resamples)
    half = np.random.default_rng(SEED).permutation(count)[index] % 2 == 0
    for name, fit in (("linear", fit_line), ("isotonic", fit_steps)):
        found[name] = corrected(machine, physicians, half, fit, draw)
    return found


def compare(
    machine: Floats,
    physicians: Floats,
    clusters: NDArray[np.int64],
    resamples: int = RESAMPLES,
    *,
    least: int = LEAST,
) -> dict[str, Any]:
    """``n``, ``clusters``, ``reason`` (why nothing is said); else also ``bias`` (machine minus physicians), ``mae``,
    ``constant_mae``, ``skill``, ``spearman``, ``kappa`` (quadratic weights), ``within_one`` (share at most 1 apart),
    each ``value``, ``low``, ``high``, ``reason``. Fewer than ``least`` texts say nothing.
    """
    index, count = numbered(clusters)
    found: dict[str, Any] = {"n": len(machine), "clusters": count, "reason": ""}
    if len(machine) < least:
        return found | {"reason": TOO_FEW.format(least=least)}
    draw = Resamples(index, count, resamples)
    gap = machine - physicians
    return found | {
        "bias": draw.interval(lambda w: mean(gap, w)),
        "mae": draw.interval(lambda w: mean(np.abs(gap), w)),
        "constant_mae": draw.interval(lambda w: constant_error(physicians, w)),
        "skill": draw.interval(lambda w: skill(machine, physicians, w), why=ALL_EQUAL),
        "within_one": draw.interval(lambda w: mean((np.abs(gap) <= 1).astype(float), w)),
        "spearman": spearman(machine, physicians, draw),
        "kappa": draw.interval(lambda w: kappa(machine, physicians, w), why=NO_KAPPA),
    }


def numbered(clusters: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Each text's cluster as a number from 0, and how many there are."""
    index = np.unique(clusters, return_inverse=True)[1]
    return index, int(index.max()) + 1 if len(index) else 0


class Resamples:
    """Patients drawn with replacement: how often each text counts, the same draws for every figure."""

    def __init__(self, index: NDArray[np.int64], count: int, resamples: int) -> None:
        self.index, self.count, self.resamples = index, count, resamples

    def interval(self, figure: Callable[[Floats], Floats], why: str = "") -> dict[str, Any]:
        """``figure`` of weights (resamples, n) gives (resamples,), NaN where it is undefined."""
        value = float(figure(np.ones((1, len(self.index))))[0])
        if np.isnan(value):
            return {"value": None, "low": None, "high": None, "reason": why}
        if self.count < 2:
            return {"value": value, "low": None, "high": None, "reason": ONE_CLUSTER}
        drawn = np.concatenate([figure(weights) for weights in self.blocks()])
        drawn = drawn[~np.isnan(drawn)]
        if len(drawn) < 0.95 * self.resamples:
            return {"value": value, "low": None, "high": None, "reason": f"undefined in many resamples: {why}"}
        low, high = np.quantile(drawn, [0.025, 0.975])
        return {"value": value, "low": float(low), "high": float(high), "reason": ""}

    def blocks(self) -> Any:
        random = np.random.default_rng(SEED)
        step = max(1, CELLS // len(self.index))
        for start in range(0, self.resamples, step):
            rows = min(step, self.resamples - start)
            drawn = random.multinomial(self.count, np.full(self.count, 1 / self.count), size=rows)
            yield drawn[:, self.index].astype(float)


def mean(values: Floats, weights: Floats) -> Floats:
    return np.asarray(weights @ values / weights.sum(axis=1))


def constant_error(physicians: Floats, weights: Floats) -> Floats:
    """Mean absolute error of the best constant: the weighted median of each resample."""
    order = np.argsort(physicians, kind="stable")
    running = np.cumsum(weights[:, order], axis=1)
    place = (running >= running[:, -1:] / 2).argmax(axis=1)
    constant = physicians[order][place]
    return np.asarray((weights * np.abs(physicians[None, :] - constant[:, None])).sum(axis=1) / weights.sum(axis=1))


def skill(machine: Floats, physicians: Floats, weights: Floats) -> Floats:
    error, constant = mean(np.abs(machine - physicians), weights), constant_error(physicians, weights)
    return np.where(constant > 0, 1 - error / np.where(constant > 0, constant, 1), np.nan)


def kappa(machine: Floats, physicians: Floats, weights: Floats) -> Floats:
    """Quadratic-weighted kappa of the scores as they stand; for whole levels Cohen's (``scoring.weighted_kappa``)."""
    observed = mean((machine - physicians) ** 2, weights)
    squares = mean(machine**2, weights) + mean(physicians**2, weights)
    by_chance = squares - 2 * mean(machine, weights) * mean(physicians, weights)
    return np.where(by_chance > 1e-12, 1 - observed / np.where(by_chance > 1e-12, by_chance, 1), np.nan)


def spearman(machine: Floats, physicians: Floats, draw: Resamples) -> dict[str, Any]:
    """Correlation of the ranks within all texts (ties share their mean rank)."""
    from scipy.stats import rankdata

    first, second = rankdata(machine), rankdata(physicians)

    def correlation(weights: Floats) -> Floats:
        a, b = (ranks[None, :] - mean(ranks, weights)[:, None] for ranks in (first, second))
        spread = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
        return np.where(spread > 1e-9, (weights * a * b).sum(axis=1) / np.where(spread > 1e-9, spread, 1), np.nan)

    return draw.interval(correlation, why=NO_RANKS)


Fit = Callable[[Floats, Floats], tuple[Floats, Floats]]


def corrected(
    machine: Floats, physicians: Floats, half: NDArray[np.bool_], fit: Fit, draw: Resamples
) -> dict[str, Any]:
    """Fitted on one half and tried on the other, both ways; ``knots`` are of the correction fitted on all."""
    guess = np.empty_like(machine)
    for side in (half, ~half):
        if not side.any() or side.all():
            return {"reason": ONE_CLUSTER}
        x, y = fit(machine[side], physicians[side])
        guess[~side] = np.interp(machine[~side], x, y)
    x, y = fit(machine, physicians)
    return {
        "reason": "",
        "mae": draw.interval(lambda w: mean(np.abs(guess - physicians), w)),
        "skill": draw.interval(lambda w: skill(guess, physicians, w), why=ALL_EQUAL),
        "knots": [[float(a), float(b)] for a, b in zip(x, y, strict=True)],
    }


def fit_line(machine: Floats, physicians: Floats) -> tuple[Floats, Floats]:
    """The least-squares line on the scale from 0 to 5; level where the machine always says the same."""
    spread = float(np.var(machine))
    slope = float(np.cov(machine, physicians, bias=True)[0, 1]) / spread if spread > 0 else 0.0
    x = np.linspace(0, 5, 51)
    return x, np.clip(physicians.mean() + slope * (x - machine.mean()), 0, 5)


def fit_steps(machine: Floats, physicians: Floats) -> tuple[Floats, Floats]:
    """Isotonic regression: the best correction that never turns the order round."""
    from scipy.optimize import isotonic_regression

    x, place, count = np.unique(machine, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=physicians) / count
    return x, isotonic_regression(means, weights=count).x


def curve(machine: Floats, physicians: Floats, clusters: NDArray[np.int64]) -> list[dict[str, Any]]:
    """What physicians say of the texts that the machine gave about the same score."""
    rows = []
    for number, (low, high) in enumerate(pairwise(BINS)):
        last = number == len(BINS) - 2
        inside = (machine >= low) & ((machine <= high) if last else (machine < high))
        if inside.any():
            people = mean_interval(physicians[inside].tolist(), clusters[inside].tolist(), scale=SCALE)
            given = float(machine[inside].mean())
            rows.append({"from": low, "to": high, "n": people.n, "machine": given, "physicians": people.as_dict()})
    return rows
