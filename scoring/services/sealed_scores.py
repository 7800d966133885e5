"""First scores as agreement reads them: sealed, never informed, and the repeats of them beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, QuerySet, Sum

from scoring.agreement.columns import Columns, GivenRating, columns_of
from scoring.models import Assignment, Rating, Score, Study

Purpose = Assignment.Purpose


@dataclass(frozen=True)
class RatingSet:
    """Tells a set of ratings from another: how many, and the sum of their keys."""

    ratings: int
    key_sum: int


def sealed_ratings(study: Study, now: datetime) -> QuerySet[Rating]:
    """Ratings that were sealed by ``now`` as first submissions, live ones and silent repeats."""
    return Rating.objects.filter(
        study=study, is_first=True, purpose__in=(Purpose.LIVE, Purpose.REPEAT), sealed_at__lte=now
    )


def rating_sets(study: Study, now: datetime) -> dict[int, RatingSet]:
    """By key of the rubric version under which they were given."""
    rows = sealed_ratings(study, now).order_by().values_list("rubric").annotate(n=Count("pk"), total=Sum("pk"))
    return {rubric: RatingSet(number, total) for rubric, number, total in rows}


def waiting_for_the_seal(study: Study, now: datetime) -> int:
    """First submissions that can still be corrected, so that they do not count yet."""
    waiting = Rating.objects.filter(study=study, is_first=True, is_current=True, purpose=Purpose.LIVE)
    return waiting.filter(sealed_at__gt=now).count()


def read_columns(ratings: QuerySet[Rating]) -> Columns:
    """The ratings with their scores, in the order of their keys."""
    rows = Score.objects.filter(rating__in=ratings).order_by("rating_id")
    return columns_of(
        list(
            _gathered(
                rows.values_list(
                    "rating_id",
                    "rating__version_id",
                    "rating__assignment__case_id",
                    "rating__rater_id",
                    "rating__purpose",
                    "rating__created_at",
                    "dimension",
                    "value",
                ).iterator(chunk_size=5_000)
            )
        )
    )


def _gathered(rows: Iterable[tuple]) -> Iterable[GivenRating]:
    current: GivenRating | None = None
    scores: dict[str, float | None] = {}
    for key, text, case, rater, purpose, at, dimension, value in rows:
        if current is None or current.key != key:
            if current is not None:
                yield current
            scores = {}
            current = GivenRating(key, text, case, rater, purpose == Purpose.REPEAT, at.timestamp(), scores)
        scores[dimension] = value
    if current is not None:
        yield current
