"""How a study's raters work, gathered for administrators, and when a rater is offered a break."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.conduct import SESSION_BREAK, Given, Scores, Signs, reading_seconds, signs
from scoring.models import Assignment, CalibrationExample, NarrativeVersion, Rating, Score, Study
from scoring.rubric import DIMENSION_KEYS

Purpose = Assignment.Purpose
LATEST = 100  # ratings looked at for a break: who goes on after so many without a pause has been offered some


class Row(NamedTuple):
    rating: int
    rater: int
    version: int
    purpose: str
    at: datetime
    active_seconds: int | None


def signs_of_raters(study: Study) -> dict[int, Signs]:
    """By rater key, for everybody who has rated in the study; a fixed number of queries."""
    ratings = Rating.objects.filter(study=study, is_current=True, purpose__in=Assignment.QUEUED)
    columns = ("pk", "rater", "version", "purpose", "created_at", "active_seconds")
    by_rater: dict[int, list[Row]] = defaultdict(list)
    for row in ratings.order_by("created_at", "pk").values_list(*columns):
        by_rater[row[1]].append(Row(*row))
    given = Score.objects.filter(rating__study=study, rating__is_current=True).order_by().values_list("rating")
    rows = given.annotate(**{key: Max("value", filter=Q(dimension=key)) for key in DIMENSION_KEYS})
    scores: dict[int, Scores] = {
        rating: dict(zip(DIMENSION_KEYS, levels, strict=True)) for rating, *levels in rows.iterator(chunk_size=5_000)
    }
    texts = NarrativeVersion.objects.filter(pk__in=ratings.values("version")).values_list("pk", "text")
    reading = {key: reading_seconds(text) for key, text in texts.iterator(chunk_size=500)}
    examples = CalibrationExample.objects.filter(rubric=study.rubric_id, role=CalibrationExample.Role.GOLD)
    agreed: dict[int, Scores] = dict(examples.values_list("version", "scores"))
    return {rater: _signs(hers, scores, reading, agreed) for rater, hers in by_rater.items()}


def _signs(
    ratings: list[Row],
    scores: dict[int, Scores],
    reading: dict[int, float],
    agreed: dict[int, Scores],
) -> Signs:
    first = {row.version: scores[row.rating] for row in ratings if row.purpose == Purpose.LIVE}
    repeated = [row for row in ratings if row.purpose == Purpose.REPEAT]
    gold = [row for row in ratings if row.purpose == Purpose.GOLD]
    return signs(
        [Given(row.at, scores[row.rating], row.active_seconds, reading[row.version]) for row in ratings],
        [(agreed[row.version], scores[row.rating]) for row in gold if row.version in agreed],
        [(first[row.version], scores[row.rating]) for row in repeated if row.version in first],
    )


def limits_passed(study: Study, found: Signs) -> list[str]:
    """The study's stated limits that these signs pass, in words with the figures; empty: she cannot be excluded."""
    passed = []
    if study.hasty_limit is not None and found.hasty is not None and found.hasty > study.hasty_limit:
        figures = {"share": round(found.hasty), "limit": study.hasty_limit}
        passed.append(_("%(share)s %% of the ratings faster than reading, above %(limit)s %%") % figures)
    if study.identical_limit is not None and found.identical is not None and found.identical > study.identical_limit:
        figures = {"share": round(found.identical), "limit": study.identical_limit}
        passed.append(_("%(share)s %% of the rows identical to the one before, above %(limit)s %%") % figures)
    if study.gold_limit is not None and found.gold is not None and found.gold < study.gold_limit:
        kappas = {"kappa": f"{found.gold:.2f}", "limit": f"{study.gold_limit:g}", "number": found.gold_number}
        passed.append(_("weighted kappa %(kappa)s on %(number)s silent gold, below %(limit)s") % kappas)
    return passed


@dataclass(frozen=True)
class Spell:
    """Work since her last pause: ``minutes`` of it, rounded down, ``ratings``, and whether to offer a break."""

    minutes: int
    ratings: int
    offer_break: bool


def work_since_break(*, study: Study, rater: Any) -> Spell:
    """Minutes of active work in her session so far, in any study, for her page; time that is not known counts as none.

    A break is offered by the rating that fills the study's stretch of work, and by each that fills another, until a
    pause of half an hour starts it anew.
    """
    later = timezone.now()
    latest = Rating.objects.filter(rater=rater, is_current=True).order_by("-pk")[:LATEST]
    seconds = count = newest = 0
    for at, active in latest.values_list("created_at", "active_seconds"):
        if later - at > SESSION_BREAK:
            break
        newest = newest if count else active or 0
        seconds, count, later = seconds + (active or 0), count + 1, at
    stretch = 60 * study.break_minutes
    fills = stretch > 0 and count < LATEST and seconds // stretch > (seconds - newest) // stretch
    return Spell(seconds // 60, count, fills)
