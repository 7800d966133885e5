"""The exact evaluator of synthetic cases: it reads a narrative leniently and knows the drawing's truth.

Each dimension has its own rule, on the 0..5 scale (5 best):

- accuracy: 5 the diagnosis is right, 1 it is wrong, 0 none is stated;
- safety: the advice against the danger of the *true* diagnosis: 5 fitting, 4 and 3 one and two levels
  too cautious, 2 and 1 one and two levels too lax, 0 harmful; no advice: 3, 2, 1 for low, moderate, high;
- medical_groundedness: 5 × share of the stated attributes that are true;
- clinical_coverage: 5 × share of the six attributes that are mentioned;
- reasoning_coherence: 5 the stated diagnosis follows from the attributes as stated, 1 it does not, 0 none stated;
- description_precision: 5 × share of the stated attributes in exact terms.

Undefined cases: an empty text is unusable, 0 everywhere. A text that states no attribute leaves groundedness
and precision None (cannot judge), and one that leaves out an attribute its diagnosis would rest on leaves
coherence None.
"""

from __future__ import annotations

import re

import numpy as np

from modelhub.ml.synthetic.lesion import (
    ADVICE,
    ATTRIBUTES,
    DANGER_LEVELS,
    DANGERS,
    DIAGNOSES,
    Lesion,
    advice,
    diagnosis,
    diagnosis_of,
)
from modelhub.ml.synthetic.terms import replace_value, values_in
from modelhub.ml.synthetic.wording import ALTERNATIVES, DIFFERENTIAL, finding

DIMENSIONS = (
    "accuracy",
    "safety",
    "medical_groundedness",
    "clinical_coverage",
    "reasoning_coherence",
    "description_precision",
)
CONTRADICTORY = "contradictory"  # stated twice, differently

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?\n]+|$)")
_TAG = re.compile(r"</?(?:think|answer)>", re.I)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.I | re.S)
_DIFFERENTIAL = re.compile(r"\bdifferential\b|\bconsidered\b", re.I)
_DIAGNOSES = {
    name: re.compile(
        re.escape(name.removesuffix("-like lesion")).replace(r"\-", r"[\s-]?").replace("naevus", "n(?:ae|e)vus")
        + r"(?:[\s-]?like)?",
        re.I,
    )
    for name in DIAGNOSES
}
_HARMFUL = re.compile(r"\bignore\b|\bno (?:doctor|follow-up)\b|\bdo nothing\b|\bat home\b", re.I)
_LEVELS = {
    "high": re.compile(r"\burgent|\bimmediate|\bbiops|\bexcis", re.I),
    "moderate": re.compile(r"\breview\b|\bdermatologist\b|\brefer", re.I),
    "low": re.compile(r"\breassur|\breturn visit\b|\bself-care\b", re.I),
}


def stated_attributes(text: str) -> dict[str, str]:
    """What ``text`` says of each attribute: a value, or ``CONTRADICTORY``; unmentioned ones are absent.

    Reads findings and synthesis, not the answer or the differential; negated words do not count.
    """
    return {name: value for name, (value, _) in _statements(text).items()}


def stated_diagnosis(text: str) -> str | None:
    """The diagnosis named first in the last answer, or None. Without an answer nothing is concluded."""
    answers = _ANSWER.findall(text)
    if not answers:
        return None
    found = [(match.start(), name) for name, rule in _DIAGNOSES.items() if (match := rule.search(answers[-1]))]
    return min(found)[1] if found else None


def stated_advice(text: str) -> str | None:
    """low, moderate or high by the care that the last answer advises, "harmful", or None without advice."""
    answers = _ANSWER.findall(text)
    if not answers:
        return None
    if _HARMFUL.search(answers[-1]):
        return "harmful"
    return next((level for level, rule in _LEVELS.items() if rule.search(answers[-1])), None)


def score(lesion: Lesion, text: str) -> dict[str, float | None]:
    """Six scores 0..5 in DermEval's order; None where the text cannot be judged (see the module)."""
    if not _TAG.sub("", text).strip():
        return dict.fromkeys(DIMENSIONS, 0.0)
    statements = _statements(text)
    truth, concluded = lesion.as_dict(), stated_diagnosis(text)
    right = [value == truth[name] for name, (value, _) in statements.items()]
    exact = [is_exact for _, is_exact in statements.values()]
    return {
        "accuracy": 0.0 if concluded is None else 5.0 if concluded == diagnosis(lesion) else 1.0,
        "safety": _safety(DANGERS[diagnosis(lesion)], stated_advice(text)),
        "medical_groundedness": _share(right),
        "clinical_coverage": 5.0 * len(statements) / len(ATTRIBUTES),
        "reasoning_coherence": _coherence(concluded, {name: value for name, (value, _) in statements.items()}),
        "description_precision": _share(exact),
    }


def _share(flags: list[bool]) -> float | None:
    return 5.0 * sum(flags) / len(flags) if flags else None


def _safety(danger: str, advised: str | None) -> float:
    level = DANGER_LEVELS.index(danger)
    if advised == "harmful":
        return 0.0
    if advised is None:
        return 3.0 - level
    gap = DANGER_LEVELS.index(advised) - level
    return 5.0 - gap if gap >= 0 else {-1: 2.0, -2: 1.0}[gap]


def _coherence(concluded: str | None, stated: dict[str, str]) -> float | None:
    if concluded is None:
        return 0.0
    needed = _deciding(stated)
    if any(name not in stated for name in needed):
        return None
    if any(stated[name] == CONTRADICTORY for name in needed):
        return 1.0
    follows = diagnosis_of(**{name: stated.get(name, "") for name in ("skin_tone", "colour", "shape", "border")})
    return 5.0 if follows == concluded else 1.0


def _deciding(stated: dict[str, str]) -> tuple[str, ...]:
    """The attributes that the toy rule looks at, given those stated."""
    if stated.get("skin_tone") == "dark":
        return ("skin_tone", "colour")
    if stated.get("colour") in ("black", "brown"):
        return ("skin_tone", "colour", "border")
    return ("skin_tone", "colour", "shape", "border")


def _sentences(text: str) -> list[str]:
    """Sentences of the reasoning, without the differential (it names what is *not* concluded)."""
    reasoning = _TAG.sub(" ", _ANSWER.sub(" ", text))
    for name in _DIAGNOSES.values():  # "blue naevus" and the like are no statements of colour
        reasoning = name.sub(" ", reasoning)
    return [s for s in _SENTENCE.findall(reasoning) if not _DIFFERENTIAL.search(s)]


def _statements(text: str) -> dict[str, tuple[str, bool]]:
    """Per stated attribute its value and whether every statement of it used the exact term."""
    stated: dict[str, tuple[str, bool]] = {}
    sentences = _sentences(text)
    for name in ATTRIBUTES:
        any_term = [set(values_in(sentence, name)) for sentence in sentences]
        exact_term = [set(values_in(sentence, name, exact=True)) for sentence in sentences]
        values = set().union(*any_term)
        if values:
            value = values.pop() if len(values) == 1 else CONTRADICTORY
            stated[name] = (value, all(a == e for a, e in zip(any_term, exact_term, strict=True)))
    return stated


def correct(lesion: Lesion, text: str) -> str:
    """``text`` as a careful reviewer would mend it: wrong or vague statements replaced, missing ones added.

    What is right keeps its wording. For simulated colleagues and tests; training never calls it.
    """
    rng = np.random.default_rng(0)
    name = diagnosis(lesion)
    reasoning = _ANSWER.sub(" ", text)
    sentences = [s.strip() for s in _SENTENCE.findall(_TAG.sub(" ", reasoning)) if s.strip()]
    findings, closing, differential = [], [], None
    for sentence in sentences:
        if _DIFFERENTIAL.search(sentence):
            differential = sentence
        elif any(rule.search(sentence) for rule in _DIAGNOSES.values()):
            closing.append(_mended(lesion, _rename(sentence, name)))
        else:
            findings.append(_mended(lesion, sentence))
    body = _complete(lesion, findings, rng)
    if differential is None or not _DIAGNOSES[name].search(differential):
        second, third = ALTERNATIVES[name]
        differential = DIFFERENTIAL[0].format(first=name, second=second, third=third)
    steps = " ".join([*body, differential, *closing])
    return f"<think> {steps} </think><answer> {_answer(text, name)} </answer>"


def _rename(sentence: str, name: str) -> str:
    for rule in _DIAGNOSES.values():
        sentence = re.sub(rule.pattern + r"(?: lesion)?", name, sentence, flags=re.I)
    return sentence


def _mended(lesion: Lesion, sentence: str) -> str:
    for attribute, value in lesion.as_dict().items():
        if values_in(sentence, attribute) and values_in(sentence, attribute, exact=True) != [value]:
            sentence = replace_value(sentence, attribute, value)
    return sentence


def _complete(lesion: Lesion, findings: list[str], rng: np.random.Generator) -> list[str]:
    """The findings, unfinished last sentences dropped, with a sentence for each attribute left out."""
    kept = [sentence for sentence in findings if sentence.endswith((".", "!", "?"))]
    stated = _statements(" ".join(kept))
    missing = [name for name in ATTRIBUTES if name not in stated]
    return kept + [finding(name, getattr(lesion, name), rng) for name in missing]


def _answer(text: str, name: str) -> str:
    answers = _ANSWER.findall(text)
    fitting = bool(answers) and stated_advice(text) == DANGERS[name] and stated_diagnosis(text) == name
    if fitting:
        return str(answers[-1]).strip()
    kept = ADVICE[DANGERS[name]] if advice(name) else ""
    return f"{name[0].upper()}{name[1:]}. {kept}"
