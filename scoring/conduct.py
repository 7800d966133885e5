"""How a rater works: signs that administrators may look at, as pure arithmetic. None of them judges anybody.

Reading speeds: silent reading of English non-fiction averages 238 words a minute (Brysbaert, Journal of Memory and
Language 109 (2019) 104047), of Chinese about 260 characters (Wang et al., 2019, as reviewed there). Nobody reads for a
judgement at twice that, so a rating given in less than half the average reading time counts as faster than reading.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean

from scoring.rubric import DIMENSION_KEYS
from scoring.weighted_kappa import quadratic_kappa

WORDS_PER_MINUTE, CHARACTERS_PER_MINUTE = 238, 260
TOO_FAST = 2.0
SESSION_BREAK = timedelta(minutes=30)
LONG_SESSION = 12  # ratings from which a session's first and last third are compared
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Given:
    """One rating in the order of time: when, its six scores, seconds of work, seconds that reading takes."""

    at: datetime
    scores: Scores
    active_seconds: int | None
    reading_seconds: float


@dataclass(frozen=True)
class Signs:
    """``None`` where there is nothing to tell it from. Shares are percent; drift is in points of the scale.

    ``hasty``: faster than reading, of the ratings whose time is known. ``identical``: all six scores as in the rating
    before, of those that have one before. ``late_drift``: mean score of a long session's last third minus its first.
    ``gold``, ``repeats``: weighted kappa over all dimensions, ``gold_drift``: its mean deviation from the agreed scores
    in the later half minus the earlier.
    """

    ratings: int
    hasty: float | None
    identical: float | None
    longest_run: int
    late_drift: float | None
    gold: float | None
    gold_number: int
    gold_drift: float | None
    repeats: float | None
    repeat_number: int


def reading_seconds(text: str) -> float:
    """How long reading takes at the average speed: words, and each Chinese character by itself."""
    han = 0 if text.isascii() else len(_HAN.findall(text))
    words = len((_HAN.sub(" ", text) if han else text).split())
    return 60 * (words / WORDS_PER_MINUTE + han / CHARACTERS_PER_MINUTE)


def signs(
    given: Sequence[Given], gold: Sequence[tuple[Scores, Scores]], repeats: Sequence[tuple[Scores, Scores]]
) -> Signs:
    """``given`` in the order of time; ``gold`` and ``repeats`` as (agreed or first, hers or second), too."""
    timed = [one for one in given if one.active_seconds is not None]
    hasty = [one for one in timed if (one.active_seconds or 0) * TOO_FAST < one.reading_seconds]
    same = [_row(a.scores) == _row(b.scores) for a, b in pairwise(given)]
    half = len(gold) // 2
    early, late = _deviation(gold[:half]), _deviation(gold[half:])
    return Signs(
        ratings=len(given),
        hasty=100 * len(hasty) / len(timed) if timed else None,
        identical=100 * sum(same) / len(same) if same else None,
        longest_run=_longest(same),
        late_drift=late_drift(given),
        gold=kappa_of(gold),
        gold_number=len(gold),
        gold_drift=late - early if early is not None and late is not None else None,
        repeats=kappa_of(repeats),
        repeat_number=len(repeats),
    )


def late_drift(given: Sequence[Given]) -> float | None:
    """Mean over long sessions of: mean score of the last third minus that of the first; ``None`` without one."""
    changes = []
    for session in sessions(given):
        third = len(session) // 3
        means = [mean for one in session if (mean := _mean(one.scores)) is not None]
        if len(session) >= LONG_SESSION and len(means) == len(session):
            changes.append(fmean(means[-third:]) - fmean(means[:third]))
    return fmean(changes) if changes else None


def sessions(given: Sequence[Given]) -> list[list[Given]]:
    """Ratings in runs without a pause longer than ``SESSION_BREAK``."""
    found: list[list[Given]] = []
    for one in given:
        if found and one.at - found[-1][-1].at <= SESSION_BREAK:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def kappa_of(pairs: Sequence[tuple[Scores, Scores]]) -> float | None:
    """Weighted kappa over all scores that both sides of a pair have, dimensions together."""
    both = [
        (a[key], b[key])
        for a, b in pairs
        for key in DIMENSION_KEYS
        if a.get(key) is not None and b.get(key) is not None
    ]
    return quadratic_kappa([float(a or 0) for a, _ in both], [float(b or 0) for _, b in both])


def _deviation(pairs: Sequence[tuple[Scores, Scores]]) -> float | None:
    gaps = [
        abs(hers - agreed)
        for known, given in pairs
        for key in DIMENSION_KEYS
        if (agreed := known.get(key)) is not None and (hers := given.get(key)) is not None
    ]
    return fmean(gaps) if gaps else None


def _row(scores: Scores) -> tuple[float | None, ...]:
    return tuple(scores.get(key) for key in DIMENSION_KEYS)


def _mean(scores: Scores) -> float | None:
    known = [value for key in DIMENSION_KEYS if (value := scores.get(key)) is not None]
    return fmean(known) if known else None


def _longest(same: Sequence[bool]) -> int:
    """Ratings in the longest run of equal rows; 1 where no two follow each other, 0 without a rating to compare."""
    longest = run = 1 if same else 0
    for equal in same:
        run = run + 1 if equal else 1
        longest = max(longest, run)
    return longest
