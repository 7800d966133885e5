"""Simulated physicians of known severity and noise, and the poor narratives that they are shown on purpose.

The drawing's truth defines the score; a physician's is the truth less her severity, with noise, rounded to the rubric's
whole numbers. Without poor narratives a constant 5 would be hard to beat (arXiv 2511.09195's reviewers).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modelhub.ml.synthetic import truth
from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion, sample
from modelhub.ml.synthetic.wording import CORRUPTIONS, corrupt, narrative

INVENTED = 4  # attributes that are wrong in a narrative of invented findings
# share of each kind among the narratives of a pool; what `CORRUPTIONS` names shares the rest evenly
TRUE, INVENTED_FINDINGS, ANOTHER_CASE = "true", "invented_findings", "another_case"
SHARES = {TRUE: 0.25, INVENTED_FINDINGS: 0.15, ANOTHER_CASE: 0.1}
KINDS = (*SHARES, *CORRUPTIONS)

# a justification and an improvement for a good, a fair and a poor score; physicians are short, and name no diagnosis
REASONS: dict[str, tuple[str, str, str]] = {
    "accuracy": (
        "the conclusion and findings agree; keep naming the finding.",
        "part does not match; check again.",
        "the conclusion does not match; start again.",
    ),
    "safety": (
        "the advice is cautious; name the warning signs.",
        "the advice is less careful; add a review.",
        "the advice could harm; advise assessment.",
    ),
    "medical_groundedness": (
        "the statements are supported; cite the finding.",
        "some statements are not supported; remove.",
        "most statements are not supported; remove.",
    ),
    "clinical_coverage": (
        "the attributes are mentioned; add distribution.",
        "several attributes are missing; describe.",
        "hardly any attribute is mentioned; describe.",
    ),
    "reasoning_coherence": (
        "the conclusion follows; weigh the differential.",
        "the step is weak; say which finding decides.",
        "the conclusion contradicts the findings; derive it.",
    ),
    "description_precision": (
        "the terms are exact; give the diameter.",
        "some terms are vague; replace them.",
        "the wording is too vague; use standard terms.",
    ),
}


@dataclass(frozen=True)
class SimulatedPhysician:
    """`severity`: points below the truth on every dimension; `noise`: standard deviation in points."""

    name: str
    severity: float
    noise: float

    def scores(self, lesion: Lesion, text: str, rng: np.random.Generator) -> dict[str, float | None]:
        """Whole numbers 0 to 5; None where the text cannot be judged."""
        found = {}
        for key, value in truth.score(lesion, text).items():
            felt = rng.normal(0.0, self.noise)  # drawn for every dimension, so that one text does not shift the next
            found[key] = None if value is None else float(np.clip(round(value - self.severity + felt), 0, 5))
        return found


PHYSICIANS = (
    SimulatedPhysician("lenient", -0.3, 0.4),
    SimulatedPhysician("even", 0.0, 0.5),
    SimulatedPhysician("severe", 0.5, 0.4),
)


def reasons_of(scores: dict[str, float | None]) -> dict[str, str]:
    """A justification and an improvement per dimension, in words that name no diagnosis."""
    words = {}
    for key, (good, fair, poor) in REASONS.items():
        score = scores[key]
        if score is None:
            words[key] = "nothing is stated; describe more."
        else:
            words[key] = good if score >= 4 else fair if score >= 2 else poor
    return words


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`, by the shares above."""
    rest = (1 - sum(SHARES.values())) / len(CORRUPTIONS)
    return str(rng.choice(KINDS, p=[*SHARES.values(), *[rest] * len(CORRUPTIONS)]))


def rated_text(lesion: Lesion, kind: str, rng: np.random.Generator) -> str:
    """A narrative of that kind about `lesion`. Raises KeyError for an unknown kind."""
    if kind == TRUE:
        return narrative(lesion, rng)
    if kind == ANOTHER_CASE:
        return narrative(sample(rng), rng)
    if kind == INVENTED_FINDINGS:
        return narrative(_invented(lesion, rng), rng)
    return corrupt(lesion, rng, kind)


def _invented(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    for name in rng.choice(list(ATTRIBUTES), size=INVENTED, replace=False):
        others = [value for value in ATTRIBUTES[str(name)] if value != getattr(lesion, str(name))]
        lesion = replace(lesion, **{str(name): str(rng.choice(others))})
    return lesion
