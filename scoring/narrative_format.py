"""Reads a diagnostic chain of thought into steps, leniently, and never changes its text.

Two published forms (SkinGPT-R1): tagged ``<think> … </think><answer> … </answer>`` and a
headed report (*Image Findings*, *Diagnostic Reasoning*, *Final Diagnosis*). Real texts have
several think blocks and unbalanced tags, so every text parses; what could not be trusted is
said by ``truncated``. Offsets are Unicode code points into the raw text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

FINDINGS, REASONING, DIAGNOSIS, ADVICE = "findings", "reasoning", "diagnosis", "advice"
STEP_KINDS = {
    FINDINGS: "Findings",
    REASONING: "Differential and reasoning",
    DIAGNOSIS: "Final diagnosis",
    ADVICE: "Advice",
}

HEADINGS = {
    FINDINGS: "Image Findings",
    REASONING: "Diagnostic Reasoning",
    DIAGNOSIS: "Final Diagnosis",
    ADVICE: "Advice",
}

_TAG = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE)
_HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|\*\*[ \t]*)?(?:\d+[.)][ \t]*)?"
    r"(image findings|findings|differential diagnosis|differential|diagnostic reasoning|reasoning|synthesis|"
    r"final diagnosis|diagnosis|advice|management|recommendations?)[ \t]*(?:\*\*)?[ \t]*[:：]?[ \t]*(?:\*\*)?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING_KIND = {
    "image findings": FINDINGS,
    "findings": FINDINGS,
    "final diagnosis": DIAGNOSIS,
    "diagnosis": DIAGNOSIS,
    "advice": ADVICE,
    "management": ADVICE,
    "recommendation": ADVICE,
    "recommendations": ADVICE,
}
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|Dr|approx|Fig|No|ca)|\b\d)\.$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s+|$)|[。！？]+[”’」』）]*|\n\s*\n|\n(?=[ \t]*(?:[-*•]|\d+[.)])\s)")
_REASONING_CUE = re.compile(
    r"\b(differential|consider|suggests?|because|therefore|less likely|more likely|favou?rs?|against|"
    r"exclude[sd]?|rules? out|consistent with|points? to|likely)\b|鉴别|考虑|提示|因此|排除|支持",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Step:
    """A sentence of the narrative: ``text[start:end]``, half open, in code points."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class ParsedNarrative:
    """``steps`` in reading order; ``diagnosis`` is ``None`` when the text never concludes."""

    steps: tuple[Step, ...]
    truncated: bool
    diagnosis: str | None


def parse(text: str) -> ParsedNarrative:
    """Split ``text`` into steps. Never raises: any text has a reading.

    ``truncated`` is true when a ``<think>`` or ``<answer>`` was opened and never closed, or
    thinking ended without any answer. The *last* answer outside the thinking counts.
    """
    tags = list(_TAG.finditer(text))
    if tags:
        return _parse_tagged(text, tags)
    headings = list(_HEADING.finditer(text))
    if headings:
        return _parse_headed(text, headings)
    steps = _thinking_steps(text, 0, len(text))
    return ParsedNarrative(tuple(steps), False, None)


def _parse_tagged(text: str, tags: list[re.Match[str]]) -> ParsedNarrative:
    steps: list[Step] = []
    answers: list[tuple[int, int]] = []
    zone, zone_start, unclosed = "", 0, False
    for tag in tags:
        closing, name = bool(tag[1]), tag[2].lower()
        _add_zone(
            text,
            zone or name if closing else zone,
            zone_start,
            tag.start(),
            steps,
            answers,
        )
        if zone and not closing:
            unclosed = True
        zone, zone_start = ("" if closing else name), tag.end()
    _add_zone(text, zone, zone_start, len(text), steps, answers)
    if not answers:
        return ParsedNarrative(tuple(steps), True, None)
    start, end = answers[-1]
    diagnosis = next(
        (text[s.start : s.end] for s in steps if s.kind == DIAGNOSIS and start <= s.start < end),
        None,
    )
    return ParsedNarrative(tuple(steps), bool(zone) or unclosed, diagnosis)


def _add_zone(
    text: str,
    zone: str,
    start: int,
    end: int,
    steps: list[Step],
    answers: list[tuple[int, int]],
) -> None:
    if not text[start:end].strip():
        return
    if zone == "answer":
        answers.append((start, end))
        steps.extend(_answer_steps(text, start, end))
    elif zone == "think" or not zone:
        steps.extend(_thinking_steps(text, start, end))


def _parse_headed(text: str, headings: list[re.Match[str]]) -> ParsedNarrative:
    steps = _thinking_steps(text, 0, headings[0].start())
    diagnosis: str | None = None
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        end = following.start() if following else len(text)
        kind = _HEADING_KIND.get(heading[1].lower(), REASONING)
        if kind == DIAGNOSIS:
            found = _answer_steps(text, heading.end(), end)
        else:
            found = [Step(kind, s, e) for s, e in sentences(text, heading.end(), end)]
        steps.extend(found)
        for step in found:
            if step.kind == DIAGNOSIS:
                diagnosis = text[step.start : step.end]
    return ParsedNarrative(tuple(steps), False, diagnosis)


def _thinking_steps(text: str, start: int, end: int) -> list[Step]:
    steps: list[Step] = []
    reasoning = False
    for s, e in sentences(text, start, end):
        reasoning = reasoning or bool(_REASONING_CUE.search(text, s, e))
        steps.append(Step(REASONING if reasoning else FINDINGS, s, e))
    return steps


def _answer_steps(text: str, start: int, end: int) -> list[Step]:
    return [Step(DIAGNOSIS if index == 0 else ADVICE, s, e) for index, (s, e) in enumerate(sentences(text, start, end))]


def sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Half-open spans of the sentences in ``text[start:end]``, without surrounding white space."""
    spans: list[tuple[int, int]] = []
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if _ABBREVIATION.search(text[begin : match.end()]) and match.end() < end:
            continue
        _append_trimmed(text, begin, match.end(), spans)
        begin = match.end()
    _append_trimmed(text, begin, end, spans)
    return spans


def _append_trimmed(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if any(ch.isalnum() for ch in text[start:end]):
        spans.append((start, end))


def headed_text(parts: Mapping[str, str]) -> str:
    """A headed report of the parts (step kind to words) that are not empty; ``parse`` reads it back into them."""
    written = ((kind, parts.get(kind, "").strip()) for kind in HEADINGS)
    return "\n\n".join(f"{HEADINGS[kind]}\n{text}" for kind, text in written if text)


def replace_steps(text: str, steps: list[Step], replacements: dict[int, str]) -> str:
    """``text`` with step number ``n`` (from 0) replaced by ``replacements[n]``; the rest untouched.

    An empty replacement removes the step. Raises ``IndexError`` for a step that does not exist.
    """
    for number in sorted(replacements, key=lambda n: steps[n].start, reverse=True):
        step = steps[number]
        text = text[: step.start] + replacements[number].strip() + text[step.end :]
    return text
