"""How a study's raters work, gathered for administrators, and when a rater is offered a break."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.conduct import SESSION_BREAK, Given, Scores, Signs, reading_seconds, signs
from scoring.models import Assignment, CalibrationExample, Rating, Score, Study

Purpose = Assignment.Purpose
LATEST = 100  # ratings looked at for a break: who goes on after so many without a pause has been offered some


def signs_of_raters(study: Study) -> dict[int, Signs]:
    """By rater key, for everybody who has rated in the study; a fixed number of queries."""
    ratings = list(
        Rating.objects.filter(study=study, is_current=True, purpose__in=Assignment.QUEUED)
        .select_related("version")
        .order_by("created_at", "pk")
    )
    scores: dict[int, dict[str, float | None]] = defaultdict(dict)
    rows = Score.objects.filter(rating__study=study, rating__is_current=True)
    for key, dimension, value in rows.values_list("rating", "dimension", "value"):
        scores[key][dimension] = value
    examples = CalibrationExample.objects.filter(rubric=study.rubric_id, role=CalibrationExample.Role.GOLD)
    agreed: dict[int, Scores] = dict(examples.values_list("version", "scores"))
    by_rater: dict[int, list[Rating]] = defaultdict(list)
    for rating in ratings:
        by_rater[rating.rater_id].append(rating)
    return {rater: _signs(hers, scores, agreed) for rater, hers in by_rater.items()}


def _signs(ratings: list[Rating], scores: dict[int, dict[str, float | None]], agreed: dict[int, Scores]) -> Signs:
    first = {rating.version_id: scores[rating.pk] for rating in ratings if rating.purpose == Purpose.LIVE}
    repeated = [rating for rating in ratings if rating.purpose == Purpose.REPEAT]
    gold = [rating for rating in ratings if rating.purpose == Purpose.GOLD]
    given = [
        Given(rating.created_at, scores[rating.pk], rating.active_seconds, reading_seconds(rating.version.text))
        for rating in ratings
    ]
    return signs(
        given,
        [(agreed[one.version_id], scores[one.pk]) for one in gold if one.version_id in agreed],
        [(first[one.version_id], scores[one.pk]) for one in repeated if one.version_id in first],
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
