"""DermEval's scores against the physicians' means: error, skill over a constant, ranks, parse rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelhub.ml.dermeval_data import RatedNarrative
from scoring.rubric import DIMENSION_KEYS

RESAMPLES = 2_000
Scores = Mapping[str, float | None]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """One unseen narrative: physicians' means, the evaluator's scores; 0 to 5, None where there is none."""

    case: str
    truth: Scores
    found: Scores


def constants(rated: Sequence[RatedNarrative]) -> dict[str, float]:
    """The constant that predicts the training cases best in squared error: their physicians' mean."""
    means = [one.mean_scores() for one in rated]
    return {key: fmean(value for mean in means if (value := mean[key]) is not None) for key in DIMENSION_KEYS}


def figures(scored: Sequence[Scored], constant: Mapping[str, float], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """By dimension. `expected`: narratives that physicians could score; `read`: the share of those with a score.

    A narrative without a score gets the constant's, so that silence neither helps nor hides. `mae` in points; `skill`
    = 1 − MSE / MSE of the constant, with a 95 % interval over resampled cases; `spearman` over those read.
    """
    return {
        key: _figure([one for one in scored if one.truth[key] is not None], key, constant[key], seed)
        for key in DIMENSION_KEYS
    }


def _figure(scored: Sequence[Scored], key: str, constant: float, seed: int) -> dict[str, Any]:
    truth = np.array([one.truth[key] for one in scored], dtype=float)
    read = np.array([one.found[key] is not None for one in scored])
    found = np.array([constant if one.found[key] is None else one.found[key] for one in scored], dtype=float)
    ours, theirs = (found - truth) ** 2, (constant - truth) ** 2
    low, high = _interval(ours, theirs, [one.case for one in scored], seed)
    return {
        "expected": len(scored),
        "read": float(read.mean()),
        "mae": float(np.abs(found - truth).mean()),
        "constant_mae": float(np.abs(constant - truth).mean()),
        "skill": float(1 - ours.sum() / theirs.sum()),
        "low": low,
        "high": high,
        "spearman": _spearman(found[read], truth[read]),
    }


def _interval(ours: Floats, theirs: Floats, cases: Sequence[str], seed: int) -> tuple[float, float]:
    index = np.unique(np.array(cases), return_inverse=True)[1]
    sums = np.stack([np.bincount(index, weights=errors) for errors in (ours, theirs)])
    count = sums.shape[1]
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    mine, constant = drawn @ sums.T.astype(float)[:, 0], drawn @ sums.T.astype(float)[:, 1]
    low, high = np.quantile(1 - mine / constant, [0.025, 0.975])
    return float(low), float(high)


def _spearman(found: Floats, truth: Floats) -> float | None:
    """None where one side gives everything the same score."""
    from scipy.stats import rankdata

    if len(found) < 3 or np.ptp(found) == 0 or np.ptp(truth) == 0:
        return None
    return float(np.corrcoef(rankdata(found), rankdata(truth))[0, 1])
