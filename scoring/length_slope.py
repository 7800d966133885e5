"""Do longer texts score higher? Scores against log2 words within cases, so that a case's difficulty plays no part.

Least squares with one effect per case, with or without one per model, errors clustered by patient or lesion (sandwich
with m/(m−1), Student's t with m − 1 degrees of freedom). Needs numpy: for workers, never for the web process.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.intervals import LEVEL, t_quantile

NO_LENGTHS = "no two texts about one case differ in length and both have a score"


@dataclass(frozen=True)
class LengthSlope:
    """Points per doubling of the words, over ``n`` scores in ``clusters``; ``None`` where ``reason`` says why."""

    n: int
    clusters: int
    slope: float | None
    low: float | None
    high: float | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def length_slope(values: ArrayLike, words: ArrayLike, clusters: ArrayLike, *, model_effects: bool) -> LengthSlope:
    """``values`` and ``words``: (models, cases), NaN where there is none; ``clusters``: (cases,).

    ``model_effects``: each model has its own level, so that only texts longer than its own others count. Raises
    ``ValueError`` for shapes that do not fit and words that are not above 0.
    """
    scores, lengths, labels = (np.asarray(each, dtype=float) for each in (values, words, clusters))
    if scores.shape != lengths.shape or labels.shape != scores.shape[1:]:
        raise ValueError(f"scores {scores.shape}, words {lengths.shape} and clusters {labels.shape} do not fit")
    if (lengths <= 0).any():
        raise ValueError("a text with a score has at least one word")
    model, case = np.nonzero(~np.isnan(scores) & ~np.isnan(lengths))
    columns = [np.log2(lengths[model, case])]
    if model_effects:
        columns += [(model == number).astype(float) for number in range(1, len(scores))]
    design = np.column_stack([_within(column, case, scores.shape[1]) for column in columns])
    answer = _within(scores[model, case], case, scores.shape[1])
    groups = np.unique(labels[case], return_inverse=True)[1]
    m = int(groups.max(initial=-1)) + 1
    rest = _rest(design)
    if m < 2 or (rest**2).sum() < 1e-12 * max(1, len(case)):
        return LengthSlope(len(case), m, None, None, None, NO_LENGTHS)
    slope = float(rest @ answer / (rest @ rest))
    coefficients = np.linalg.lstsq(design, answer, rcond=None)[0]
    scored = np.bincount(groups, rest * (answer - design @ coefficients), m)
    error = float(np.sqrt(m / (m - 1) * (scored**2).sum()) / (rest @ rest))
    reach = t_quantile(0.5 + LEVEL / 2, m - 1) * error
    return LengthSlope(len(case), m, slope, slope - reach, slope + reach)


def _within(column: NDArray[np.float64], case: NDArray[np.int64], cases: int) -> NDArray[np.float64]:
    """The column less its mean over each case."""
    size = np.maximum(np.bincount(case, minlength=cases), 1)
    return column - (np.bincount(case, column, cases) / size)[case]


def _rest(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the other columns leave of the first (Frisch, Waugh and Lovell)."""
    first, others = design[:, 0], design[:, 1:]
    if not others.shape[1]:
        return first
    return first - others @ np.linalg.lstsq(others, first, rcond=None)[0]
