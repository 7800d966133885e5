"""Narratives of synthetic lesions, true ones and poor ones: the language the tiny model learns."""

from __future__ import annotations

import numpy as np

from modelhub.ml.synthetic.lesion import (
    ADVICE,
    ATTRIBUTES,
    BLUE_NAEVUS,
    BOWEN,
    COMMON_NAEVUS,
    DANGERS,
    DIAGNOSES,
    DYSPLASTIC_NAEVUS,
    ECZEMA,
    MELANOMA,
    PSORIASIS,
    TINEA,
    Lesion,
    advice,
    diagnosis,
)
from modelhub.ml.synthetic.terms import VAGUE

PROMPT = "Describe the skin lesion step by step, then answer."

FINDINGS: dict[str, tuple[str, ...]] = {
    "skin_tone": (
        "The surrounding skin is {} in tone.",
        "The skin tone around the lesion is {}.",
        "The background shows {} skin.",
    ),
    "number": (
        "The arrangement is {}.",
        "The lesion count is {}.",
        "In number the picture shows {} disease.",
    ),
    "size": ("The diameter is {}.", "In size the lesion is {}.", "Its extent is {} for this field."),
    "shape": ("The shape is {}.", "The outline in form is {}.", "Its configuration is {}."),
    "colour": ("The colour is {}.", "The pigment looks {}.", "The surface colour appears {}."),
    "border": ("The border is {}.", "The margin is {}.", "Its edge is {} throughout."),
}

DIFFERENTIAL = (
    "The differential includes {first}, {second} and {third}.",
    "Considered are {first}, {second} and {third}.",
    "As differential diagnoses {first}, {second} and {third} are weighed.",
)

# Restates the deciding attributes, so that a reader can check the step to the conclusion.
SYNTHESIS = (
    "Taken together, {colour} colour, {shape} shape and {border} border favour {name}.",
    "In synthesis, {colour} colour, {border} border and {shape} shape point to {name}.",
)

ALTERNATIVES: dict[str, tuple[str, str]] = {
    MELANOMA: (BLUE_NAEVUS, DYSPLASTIC_NAEVUS),
    BLUE_NAEVUS: (MELANOMA, COMMON_NAEVUS),
    DYSPLASTIC_NAEVUS: (COMMON_NAEVUS, MELANOMA),
    COMMON_NAEVUS: (DYSPLASTIC_NAEVUS, BLUE_NAEVUS),
    TINEA: (PSORIASIS, ECZEMA),
    PSORIASIS: (ECZEMA, TINEA),
    ECZEMA: (PSORIASIS, BOWEN),
    BOWEN: (PSORIASIS, ECZEMA),
}

UNSAFE_ADVICE = (
    "No doctor is needed; ignore it.",
    "Cut it off at home and do nothing more.",
    "Ignore it; no follow-up is needed.",
)

# What each corruption spoils first; a corrupted narrative may lose in others too.
CORRUPTIONS: dict[str, str] = {
    "wrong_attribute": "medical_groundedness",
    "contradicted_diagnosis": "reasoning_coherence",
    "wrong_diagnosis": "accuracy",
    "missing_advice": "safety",
    "unsafe_advice": "safety",
    "missing_findings": "clinical_coverage",
    "vague_terms": "description_precision",
    "truncated": "accuracy",
}


def narrative(lesion: Lesion, rng: np.random.Generator) -> str:
    """The true narrative: findings, differential, synthesis, then diagnosis and advice (60 to 110 words)."""
    return _assemble(_steps(lesion, diagnosis(lesion), rng), diagnosis(lesion), advice(diagnosis(lesion)))


def finding(attribute: str, value: str, rng: np.random.Generator) -> str:
    """One sentence that states ``attribute``."""
    return str(rng.choice(FINDINGS[attribute])).format(value)


def corrupt(lesion: Lesion, rng: np.random.Generator, kind: str | None = None) -> str:
    """A poor narrative of ``lesion``: ``kind`` is a key of ``CORRUPTIONS`` (drawn at random if None).

    Raises KeyError for an unknown kind.
    """
    kind = kind or str(rng.choice(list(CORRUPTIONS)))
    if kind not in CORRUPTIONS:
        raise KeyError(f"{kind!r} is no corruption; choose one of {', '.join(CORRUPTIONS)}.")
    name = diagnosis(lesion)
    steps = _steps(lesion, name, rng)
    if kind == "wrong_attribute":
        steps = _steps(_with_wrong_attribute(lesion, rng), name, rng)
    elif kind == "missing_findings":
        # Two of the first three, which the synthesis does not restate, and one of the rest.
        gone = {*rng.choice(3, size=2, replace=False).tolist(), int(rng.integers(3, 6))}
        steps = [step for index, step in enumerate(steps) if index not in gone]
    elif kind == "vague_terms":
        steps = _steps(lesion, name, rng, vague=True)
    elif kind in ("contradicted_diagnosis", "wrong_diagnosis"):
        name = str(rng.choice([other for other in DIAGNOSES if other != name]))
    text = _assemble(steps, name, _corrupt_advice(name, kind, rng))
    return text[: int(len(text) * rng.uniform(0.3, 0.6))] if kind == "truncated" else text


def _corrupt_advice(name: str, kind: str, rng: np.random.Generator) -> str:
    if kind == "missing_advice":
        return ""
    return str(rng.choice(UNSAFE_ADVICE)) if kind == "unsafe_advice" else advice(name)


def _with_wrong_attribute(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    attribute = str(rng.choice(list(ATTRIBUTES)))
    values = lesion.as_dict()
    values[attribute] = str(rng.choice([v for v in ATTRIBUTES[attribute] if v != values[attribute]]))
    return Lesion(**values)


def _steps(lesion: Lesion, name: str, rng: np.random.Generator, *, vague: bool = False) -> list[str]:
    """Six findings in the order of ``ATTRIBUTES``, the differential, the synthesis."""
    words = lesion.as_dict()
    if vague:
        words = {key: VAGUE[key][value][0] for key, value in words.items()}
    steps = [finding(attribute, words[attribute], rng) for attribute in ATTRIBUTES]
    second, third = ALTERNATIVES[name]
    steps.append(str(rng.choice(DIFFERENTIAL)).format(first=name, second=second, third=third))
    steps.append(str(rng.choice(SYNTHESIS)).format(name=name, **words))
    return steps


def _assemble(steps: list[str], name: str, advice_text: str) -> str:
    answer = f"{name[0].upper()}{name[1:]}. {advice_text}".strip()
    return f"<think> {' '.join(steps)} </think><answer> {answer} </answer>"


JUSTIFICATIONS: dict[str, tuple[str, str, str]] = {
    "accuracy": (
        "the conclusion and key findings agree with the picture; keep naming the leading finding",
        "part of the conclusion does not match the picture; check the deciding findings again",
        "the conclusion does not match the picture; start again from what is visible",
    ),
    "safety": (
        "the advice is cautious enough; name the warning signs as well",
        "the advice is less careful than it should be; add a review by a dermatologist",
        "following this advice could harm; advise a prompt specialist assessment",
    ),
    "medical_groundedness": (
        "the statements are supported by what is visible; cite the finding behind each claim",
        "some statements are not supported by the picture; remove what cannot be seen",
        "most statements are not supported by the picture; state only visible findings",
    ),
    "clinical_coverage": (
        "the main attributes are all mentioned; add the distribution",
        "several attributes are missing; describe colour, border and size",
        "hardly any attribute is mentioned; describe the lesion systematically",
    ),
    "reasoning_coherence": (
        "the conclusion follows from the findings; weigh the differential in more words",
        "the step from findings to conclusion is weak; say which finding decides",
        "the conclusion contradicts the findings; derive it from them",
    ),
    "description_precision": (
        "the terms are exact; give the diameter in millimetres",
        "some terms are vague; replace them by standard terms",
        "the wording is too vague to use; use standard dermatological terms",
    ),
}


def critique(scores: dict[str, float | None]) -> str:
    """Six lines "Dimension: score – justification; improvement" in DermEval's form.

    ``scores`` has the six dimension keys, each 0..5 or None (cannot be judged). The critique names no
    diagnosis. Raises KeyError when a dimension is missing.
    """
    lines = []
    for key, (good, fair, poor) in JUSTIFICATIONS.items():
        label = key.replace("_", " ").title()
        score = scores[key]
        if score is None:
            lines.append(f"{label}: cannot judge – the narrative gives nothing to judge; state more.")
            continue
        reason = good if score >= 4 else fair if score >= 2 else poor
        lines.append(f"{label}: {score:.1f} – {reason}.")
    return "\n".join(lines)


def vocabulary_texts() -> list[str]:
    """Fixed sentences that a tokenizer must cover beside sampled narratives."""
    return [PROMPT, *ADVICE.values(), *UNSAFE_ADVICE, *DANGERS]
