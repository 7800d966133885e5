"""How often diagnoses are right: accuracy, balanced accuracy and every class, with both denominators.

*Judged* are the cases whose answer could be read; *expected* are all. Accuracy and the share of every class have
Wilson's intervals; balanced accuracy, the mean of the classes' shares, a percentile bootstrap over patients or lesions.
Needs numpy: for workers, never for the web process.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.resampling import SEED, weight_chunks
from scoring.wilson import wilson

RESAMPLES = 2_000
NO_CLASS = "no answer could be read"
ONE_CLUSTER = "an interval needs values of at least two patients or lesions"


@dataclass(frozen=True)
class Answer:
    """``right`` is ``None`` where the answer could not be read or is missing; ``cluster``: the patient or lesion."""

    label: str
    right: bool | None
    cluster: int


def classification(answers: Sequence[Answer], *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Plain data: ``expected``, ``judged``, ``right``; ``of_judged``, ``of_expected`` (see ``wilson``); ``balanced``
    (``mean`` over ``n`` classes with an answer, ``low``, ``high``, ``reason``); ``classes``, the largest first: each
    ``label``, ``expected`` and what ``wilson`` gives of those judged."""
    known = [answer for answer in answers if answer.right is not None]
    right = sum(bool(answer.right) for answer in known)
    by_label: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_label[answer.label].append(answer)
    ordered = sorted(by_label.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "expected": len(answers),
        "judged": len(known),
        "right": right,
        "of_judged": wilson(right, len(known)),
        "of_expected": wilson(right, len(answers)),
        "balanced": _balanced(known, resamples),
        "classes": [{"label": label, "expected": len(some), **_share(some)} for label, some in ordered],
    }


def _share(answers: list[Answer]) -> dict[str, Any]:
    known = [answer.right for answer in answers if answer.right is not None]
    return wilson(sum(map(bool, known)), len(known))


def _balanced(known: list[Answer], resamples: int) -> dict[str, Any]:
    if not known:
        return {"n": 0, "mean": None, "low": None, "high": None, "reason": NO_CLASS}
    labels, place = np.unique([answer.label for answer in known], return_inverse=True)
    clusters, owner = np.unique([answer.cluster for answer in known], return_inverse=True)
    hits, counts = (np.zeros((len(clusters), len(labels))) for _ in range(2))
    np.add.at(hits, (owner, place), [float(bool(answer.right)) for answer in known])
    np.add.at(counts, (owner, place), 1.0)
    found = {"n": len(labels), "mean": float((hits.sum(axis=0) / counts.sum(axis=0)).mean()), "reason": ""}
    if len(clusters) < 2:
        return found | {"low": None, "high": None, "reason": ONE_CLUSTER}
    drawn = np.empty(resamples)
    for rows, weights in weight_chunks(len(clusters), resamples, np.random.default_rng(SEED)):
        size = weights @ counts
        with np.errstate(invalid="ignore"):  # a class that a resample does not draw has no share in it
            drawn[rows] = np.nanmean((weights @ hits) / size, axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return found | {"low": float(low), "high": float(high)}
