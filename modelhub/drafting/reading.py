"""Reading what a backend answered at a stage: what the next stage is given, and the finished narrative."""

import re

from scoring.narrative_format import DIAGNOSIS, FINDINGS, REASONING, STEP_KINDS, parse

IMAGE_MARK = "<image>"
_THINK_START = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_THINK_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"</?answer>", re.IGNORECASE)
NEEDED = (FINDINGS, REASONING, DIAGNOSIS)


class Unread(ValueError):
    """An answer that cannot be used; the message says why and what may help."""


def said(text: str) -> str:
    """What a text says, without the model's own thinking in front of it and without answer tags.

    Raises :class:`Unread` where nothing is said, and for a mark that models read as a picture.
    """
    spoken = text
    if start := _THINK_START.match(text):
        end = _THINK_END.search(text, start.end())
        if end is None:
            raise Unread("The model never ended its thinking. Allow more tokens.")
        spoken = text[end.end() :]
    spoken = _ANSWER_TAG.sub("", spoken).strip()
    if not spoken:
        raise Unread("The model said nothing after its thinking.")
    if IMAGE_MARK in spoken:
        raise Unread(f"The text holds {IMAGE_MARK}, which models read as a picture.")
    return spoken


def structured(text: str) -> str:
    """The narrative in an answer: a headed report, or thinking and answer in tags. ``text`` is returned as it stands
    but for a reasoning model's private thinking in front of a headed report.

    Raises :class:`Unread` where findings, reasoning or a final diagnosis cannot be told apart.
    """
    spoken = said(text)
    readings = {candidate: missing_parts(candidate) for candidate in (spoken, text.strip())}
    for candidate, missing in readings.items():
        if not missing:
            return candidate
    missing = min(readings.values(), key=len)
    raise Unread(f"The narrative could not be read: it has no {' and no '.join(missing)}.")


def missing_parts(text: str) -> list[str]:
    """Which needed parts a narrative lacks, in words."""
    reading = parse(text)
    kinds = {step.kind for step in reading.steps}
    lacking = [kind for kind in NEEDED if kind not in kinds or (kind == DIAGNOSIS and not reading.diagnosis)]
    return [f"part “{STEP_KINDS[kind]}”" for kind in lacking]
