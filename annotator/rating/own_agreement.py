"""How far a rater is from her colleagues: her first scores against the mean of theirs, narrative by narrative."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from scoring.models import Rating, Score
from scoring.rubric import DIMENSION_KEYS

OVER = 200
FEWEST = 5  # below it a mean could give a colleague's single score away


@dataclass(frozen=True)
class Distance:
    """Over ``count`` narratives: mean |difference| in rubric points, share within one point (0 to 1), and
    ``bias``: her score minus theirs, above 0 where she scores higher."""

    dimension: str
    count: int
    mean: float
    within_one: float
    bias: float


def own_agreement(rater: Any) -> list[Distance]:
    """One row per dimension with at least ``FEWEST`` narratives that she and others scored, her last ``OVER``.

    Only her sealed first scores count, so nothing of a case shows before she has submitted it.
    """
    hers = Rating.objects.sealed_first().filter(rater=rater).order_by("-created_at")
    mine = dict(hers.values_list("pk", "version")[:OVER])
    theirs = Rating.objects.live().filter(version__in=set(mine.values())).exclude(rater=rater)
    others: dict[tuple[int, str], list[float]] = defaultdict(list)
    for score in Score.objects.filter(rating__in=theirs).select_related("rating"):
        if score.value is not None:
            others[score.rating.version_id, score.dimension].append(score.value)
    differences: dict[str, list[float]] = defaultdict(list)
    for score in Score.objects.filter(rating__in=list(mine)):
        values = others.get((mine[score.rating_id], score.dimension))
        if score.value is not None and values:
            differences[score.dimension].append(score.value - fmean(values))
    return [_distance(key, differences[key]) for key in DIMENSION_KEYS if len(differences[key]) >= FEWEST]


def _distance(dimension: str, differences: list[float]) -> Distance:
    return Distance(
        dimension=dimension,
        count=len(differences),
        mean=fmean(abs(d) for d in differences),
        within_one=fmean(abs(d) <= 1 for d in differences),
        bias=fmean(differences),
    )
