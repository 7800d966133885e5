"""Do the intervals cover the truth? Scores whose expectation is known exactly, drawn a thousand times.

A score is a normal of a case, a patient and chance, rounded and held to 0..5, so that its expectation is a sum of
normal probabilities. Two models share the case's and the patient's part.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from scoring.intervals import Interval, crossed_interval, mean_interval
from scoring.resampling import paired_differences

SCALE = (0.0, 5.0)
CASE, CHANCE, SEVERITY = 0.8, 0.6, 0.4  # standard deviations
RESAMPLES = 1_999
RATERS = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """``cases`` in all, ``per_patient`` of one patient; ``level`` and ``gain``: of the first model and the second's."""

    cases: int
    per_patient: int = 1
    level: float = 3.2
    gain: float = 0.3


def expected(level: float, spread: float) -> float:
    """The mean of round(N(level, spread²)) held to 0..5: the sum of P(score ≥ k), k = 1..5."""
    normal = NormalDist(level, spread)
    return math.fsum(1 - normal.cdf(k - 0.5) for k in range(1, 6))


def held(values: Floats) -> Floats:
    return np.clip(np.floor(values + 0.5), 0, 5)


def draw(rng: np.random.Generator, setting: Setting) -> tuple[Floats, NDArray[np.int64]]:
    """Two models' scores (2, cases) and the patient of each case."""
    patients = np.arange(setting.cases) // setting.per_patient
    shared = rng.normal(0, CASE, patients[-1] + 1)[patients]
    levels = np.array([[setting.level], [setting.level + setting.gain]])
    own = rng.normal(0, CHANCE, (2, patients[-1] + 1))[:, patients] if setting.per_patient > 1 else 0.0
    return held(levels + shared + own + rng.normal(0, CHANCE, (2, setting.cases))), patients


def total_spread(setting: Setting) -> float:
    return math.sqrt(CASE**2 + CHANCE**2 * (2 if setting.per_patient > 1 else 1))


def covers_mean(rng: np.random.Generator, setting: Setting, clustered: bool = True) -> bool:
    values, patients = draw(rng, setting)
    labels = patients.tolist() if clustered else None
    found = mean_interval(values[0].tolist(), labels, scale=SCALE)
    return _inside(found, expected(setting.level, total_spread(setting)))


def covers_difference(rng: np.random.Generator, setting: Setting, clustered: bool = True) -> bool:
    values, patients = draw(rng, setting)
    labels = patients if clustered else np.arange(setting.cases)
    seed = int(rng.integers(2**32))
    (found,) = paired_differences(values, labels, [(0, 1)], resamples=RESAMPLES, seed=seed)
    spread = total_spread(setting)
    truth = expected(setting.level + setting.gain, spread) - expected(setting.level, spread)
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def covers_human_mean(rng: np.random.Generator, setting: Setting) -> bool:
    """Every case is scored by three of eight raters, who differ in severity; other cases and other raters are meant."""
    severity = rng.normal(0, SEVERITY, RATERS)
    case = np.repeat(np.arange(setting.cases), 3)
    rater = np.concatenate([rng.choice(RATERS, 3, replace=False) for _ in range(setting.cases)])
    shared = rng.normal(0, CASE, setting.cases)
    values = held(setting.level + shared[case] + severity[rater] + rng.normal(0, CHANCE, len(case)))
    found = crossed_interval(values.tolist(), case.tolist(), rater.tolist(), scale=SCALE).interval
    return _inside(found, expected(setting.level, math.sqrt(CASE**2 + SEVERITY**2 + CHANCE**2)))


def coverage(trial: Callable[[np.random.Generator], bool], simulations: int, seed: int) -> float:
    """The share of ``simulations`` whose interval covers the truth."""
    rng = np.random.default_rng(seed)
    return sum(trial(rng) for _ in range(simulations)) / simulations


def _inside(found: Interval, truth: float) -> bool:
    """An interval that cannot be given covers nothing."""
    return found.low is not None and found.high is not None and found.low <= truth <= found.high
