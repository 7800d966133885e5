"""What a judge answered, read strictly. Pure: no Django, no network.

A judge answers one JSON object that carries the call's token, which no candidate can know. The *last* such object
counts; objects without the token (a planted one that the judge repeats, an example) are not read at all. A value that
is not plainly a score from 0 to 5 is ``None`` with a reason: nothing is clamped, rounded or guessed.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scoring.rubric import CHINESE_DIMENSIONS, DIMENSION_KEYS, DIMENSIONS, LEVELS

CALL = "call"
MOST_READ = 20_000  # characters from the end, as for candidates
PARSED, PARTIAL, FAILED = "parsed", "partial", "failed"
THINK_START, THINK_END = re.compile(r"\s*<think(?:ing)?>", re.I), re.compile(r"</think(?:ing)?>", re.I)
PLAIN_NUMBER = re.compile(r"(?P<value>\d+(?:\.\d+)?)(?:\s*/\s*(?P<of>\d+(?:\.\d+)?))?")
NO_OBJECT = "no JSON object with this call's token"
KEY_OF_NAME: dict[str, str] = {
    **{key: key for key in DIMENSION_KEYS},
    **{dimension.name.lower().replace(" ", "_"): dimension.key for dimension in (*DIMENSIONS, *CHINESE_DIMENSIONS)},
}


class DuplicateKey(ValueError):
    """An object that says one thing twice says nothing."""


@dataclass(frozen=True)
class ReadScores:
    """``scores``: all six keys, 0 to 5 or ``None``. ``status``: parsed (six), partial (some) or failed (none)."""

    scores: dict[str, float | None]
    status: str
    justification: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadDiagnosis:
    """``correct`` is ``None`` where the reply is no judgement; ``problem`` says why."""

    correct: bool | None
    predicted: str = ""
    reason: str = ""
    problem: str = ""


def read_scores(reply: str, token: str) -> ReadScores:
    """The six scores of the last object that carries ``token``."""
    found = last_object(reply, token, lambda object_: isinstance(object_.get("scores"), dict))
    if found is None:
        return ReadScores(dict.fromkeys(DIMENSION_KEYS), FAILED, problems=(NO_OBJECT,))
    justification = found.get("justification")
    return graded(found["scores"], justification if isinstance(justification, str) else "")


def graded(values: Mapping[str, Any], justification: str = "") -> ReadScores:
    """Scores by name (a key or a name of the rubric, in either language), each checked by :func:`as_score`."""
    scores: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS)
    problems, seen = [], set()
    for name, value in values.items():
        key = KEY_OF_NAME.get(re.sub(r"[\s_-]+", "_", name.strip().lower()))
        if key is None:
            problems.append(f"{name[:60]!r} is no dimension")
            continue
        if key in seen:
            scores[key] = None
            problems.append(f"{key} is given twice")
            continue
        seen.add(key)
        scores[key] = as_score(value)
        if scores[key] is None:
            problems.append(f"{key}: {str(value)[:40]!r} is no score from {LEVELS[0]} to {LEVELS[-1]}")
    problems += [f"{key} is missing" for key in DIMENSION_KEYS if key not in seen]
    return ReadScores(scores, status_of(scores), justification, tuple(problems))


def status_of(scores: Mapping[str, float | None]) -> str:
    known = sum(value is not None for value in scores.values())
    return PARSED if known == len(DIMENSION_KEYS) else PARTIAL if known else FAILED


def as_score(value: Any) -> float | None:
    """A number from 0 to 5, or a text that is one ("4", "4.5", "4/5"). "4,5" could be two numbers: ``None``."""
    if isinstance(value, str):
        match = PLAIN_NUMBER.fullmatch(value.strip())
        if match is None or (match["of"] is not None and float(match["of"]) != LEVELS[-1]):
            return None
        value = float(match["value"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # compared before it becomes a float: an integer of 400 digits does not fit one
    return float(value) if LEVELS[0] <= value <= LEVELS[-1] and math.isfinite(value) else None


def read_diagnosis(reply: str, token: str) -> ReadDiagnosis:
    """Whether the final diagnosis was judged right: the last object with ``token`` and a true or false ``correct``."""
    found = last_object(reply, token, lambda object_: "correct" in object_)
    if found is None:
        return ReadDiagnosis(None, problem=NO_OBJECT)
    predicted, reason = (found.get(name) for name in ("predicted_diagnosis", "reason"))
    if not isinstance(found["correct"], bool):
        return ReadDiagnosis(None, problem=f"correct is {str(found['correct'])[:40]!r}, neither true nor false")
    if not isinstance(predicted, str) or not isinstance(reason, str):
        return ReadDiagnosis(None, problem="predicted_diagnosis or reason is missing")
    return ReadDiagnosis(found["correct"], predicted.strip(), reason.strip())


def last_object(reply: str, token: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The last outermost JSON object behind the thinking that carries ``token`` and fits."""
    text = after_thinking(reply)[-MOST_READ:]
    decoder = json.JSONDecoder(object_pairs_hook=unique, parse_constant=str)
    last, position = None, text.find("{")
    while position >= 0:
        try:
            found, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            if found.get(CALL) == token and fits(found):
                last = found
        position = text.find("{", end)
    return last


def after_thinking(reply: str) -> str:
    """What follows the block of thinking that a reply begins with; nothing where that thinking never ended.

    Tags further on are quotations of the candidate, which has such tags of its own.
    """
    if not (start := THINK_START.match(reply)):
        return reply
    end = THINK_END.search(reply, start.end())
    return reply[end.end() :] if end else ""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ``DuplicateKey``."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey("a key stands twice in one object")
    return found
