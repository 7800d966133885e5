"""A mean that a machine's scores of all texts and people's scores of some of them give together.

Prediction-powered inference with power tuning (Angelopoulos, Duchi and Zrnic, PPI++, arXiv 2311.01453, for the mean):
λ · mean of the machine's scores of the texts nobody rated + mean of (people's − λ · machine's) over those rated, with λ
as large as the machine's scores are of use: 0 where they say nothing, so that the interval is never much wider than
people's alone. Right for people's mean over all texts where those rated are a random part of them, whatever the
machine's bias. The error is clustered by patient or lesion (sums of the influences within a cluster), the interval
Student's t with the clusters rated less one. Needs numpy: for workers, never for the web process.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.intervals import Ends, interval_around

LEAST = 30  # texts rated by people, below which nothing is corrected
TOO_FEW = f"fewer than {LEAST} of its texts have people's ratings"
ONE_CLUSTER = "all rated texts are of one patient or lesion"
NO_SPREAD = "every rated text has the same score, so their spread is not known"
Floats = NDArray[np.float64]


def corrected_mean(
    machine: ArrayLike, people: ArrayLike, clusters: ArrayLike, *, scale: Ends | None = None
) -> dict[str, Any]:
    """Plain data. ``machine``, ``people``: (texts,), NaN where there is none; ``clusters``: a label per text.

    ``rated`` texts (with both), ``unrated`` (machine alone), ``raw`` (the machine's mean of both), ``bias`` (machine
    minus people where rated); ``n`` texts in all, ``mean`` corrected, ``low``, ``high``, ``weight`` (λ, 0 to 1),
    ``reason``. Raises ``ValueError`` for shapes that do not fit.
    """
    given, said, labels = np.asarray(machine, dtype=float), np.asarray(people, dtype=float), np.asarray(clusters)
    if given.shape != said.shape or labels.shape != given.shape or given.ndim != 1:
        raise ValueError(f"machine {given.shape}, people {said.shape} and clusters {labels.shape} do not fit")
    known = ~np.isnan(given)
    given, said, labels = given[known], said[known], labels[known]
    rated = ~np.isnan(said)
    found: dict[str, Any] = {
        "n": len(given),
        "rated": int(rated.sum()),
        "unrated": int((~rated).sum()),
        "raw": float(given.mean()) if len(given) else None,
        "bias": float((given - said)[rated].mean()) if rated.any() else None,
    }
    nothing = {"mean": None, "low": None, "high": None, "weight": None}
    if found["rated"] < LEAST:
        return found | nothing | {"reason": TOO_FEW}
    weight = tuned_weight(given, said, rated)
    rest = said[rated] - weight * given[rated]
    mean = float(rest.mean() + (weight * given[~rated].mean() if found["unrated"] else 0.0))
    groups = len(np.unique(labels[rated]))
    influence = np.zeros(len(given))
    influence[rated] = (rest - rest.mean()) / found["rated"]
    if found["unrated"]:
        influence[~rated] = weight * (given[~rated] - given[~rated].mean()) / found["unrated"]
    sums = np.bincount(np.unique(labels, return_inverse=True)[1], weights=influence)
    error = float(np.sqrt((sums**2).sum() * groups / max(groups - 1, 1)))
    found |= nothing | {"mean": mean, "weight": weight, "reason": ""}
    if groups < 2 or error < 1e-12:
        return found | {"reason": ONE_CLUSTER if groups < 2 else NO_SPREAD}
    if scale is not None:
        mean = found["mean"] = min(max(mean, scale[0]), scale[1])
        inside = scale[0] < mean < scale[1]
        scale = scale if inside else None  # at an end the logit has no place: a plain interval
    around = interval_around(found["n"], mean, error, groups - 1, scale)
    return found | {"low": around.low, "high": around.high}


def tuned_weight(machine: Floats, people: Floats, rated: NDArray[np.bool_]) -> float:
    """λ = cov(people, machine) / ((1 + n/N) var(machine)), kept within 0 and 1; 0 where it cannot be told."""
    n, rest = int(rated.sum()), int((~rated).sum())
    variance = float(machine.var(ddof=1)) if len(machine) > 1 else 0.0
    if not rest or variance < 1e-12:
        return 0.0
    shared = float(np.cov(people[rated], machine[rated], bias=True)[0, 1])  # as the authors' own package
    return float(np.clip(shared / ((1 + n / rest) * variance), 0, 1))
