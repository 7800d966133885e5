"""What the adjudicator sees of one version: ratings side by side under pseudonyms, marks merged, disputes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotator.review.marks import MarkedStep, marked_steps
from scoring.models import Adjudication, Assignment, CaseImage, Certification, Dispute, Rating, Score
from scoring.pseudonym import pseudonym
from scoring.reading_time import is_faster_than_reading
from scoring.rubric import LEVELS, Dimension, dimensions_in, overall

CANNOT_JUDGE = "x"


@dataclass(frozen=True)
class Column:
    """One rating: what a rater said at first, or what she said later, knowing more."""

    rater: str
    informed: bool
    seconds: int | None
    too_fast: bool
    rating: Rating
    scores: Mapping[str, Score]

    @property
    def comments(self) -> list[tuple[str, str]]:
        """What she wrote, about the whole first, then by dimension."""
        about = [(_("On the whole"), self.rating.comment)]
        about += [(d.name, self.scores[d.key].comment) for d in dimensions_in(get_language()) if d.key in self.scores]
        return [(what, text) for what, text in about if text.strip()]

    @property
    def mean(self) -> float | None:
        return overall({key: score.value for key, score in self.scores.items()})


@dataclass(frozen=True)
class Row:
    """One dimension: every column's score, how far they lie apart, and the adjudicator's own choice."""

    number: int
    dimension: Dimension
    cells: tuple[Score | None, ...]
    spread: float | None
    is_disputed: bool
    levels: tuple[tuple[str, str, bool], ...]
    chosen_x: bool
    errors: list[str]

    @property
    def is_scored(self) -> bool:
        return self.chosen_x or any(chosen for *_others, chosen in self.levels)


@dataclass(frozen=True)
class Point:
    """A place on an image that a rater marked; ``x`` and ``y`` in the image's pixels."""

    number: int
    x: float
    y: float


@dataclass(frozen=True)
class PointedImage:
    image: CaseImage
    url: str
    radius: float
    points: tuple[Point, ...]


def columns_of(certification: Certification) -> list[Column]:
    """Every rater's first scores, and beside them her informed ones, in the order of the pseudonyms."""
    study, version = certification.study, certification.version
    ratings = (
        Rating.objects.filter(study=study, version=version, purpose=Assignment.Purpose.LIVE)
        .filter(Q(is_first=True) | Q(is_current=True))
        .select_related("rater")
        .prefetch_related("scores", "marks__image")
    )
    columns = [
        Column(
            rater=pseudonym(study.public_id, rating.rater.public_id),
            informed=rating.informed,
            seconds=rating.active_seconds,
            too_fast=is_faster_than_reading(version.text, rating.active_seconds),
            rating=rating,
            scores={score.dimension: score for score in rating.scores.all()},
        )
        for rating in ratings
    ]
    return sorted(columns, key=lambda column: (column.rater, column.informed))


def rows_of(
    certification: Certification,
    columns: list[Column],
    entered: Mapping[str, str],
    errors: Mapping[str, list[str]],
) -> list[Row]:
    """The six dimensions; the spread is over each rater's last word, as the rule has it."""
    rule = certification.policy.rule
    rows = []
    for number, dimension in enumerate(dimensions_in(get_language()), start=1):
        cells = tuple(column.scores.get(dimension.key) for column in columns)
        last = [cell.value for cell, column in zip(cells, columns, strict=True) if cell and column.rating.is_current]
        known = [value for value in last if value is not None]
        spread = max(known) - min(known) if len(known) > 1 else None
        veto = dimension.key == "safety" and bool(known) and min(known) <= rule.safety_veto
        chosen = entered.get(dimension.key, "")
        rows.append(
            Row(
                number=number,
                dimension=dimension,
                cells=cells,
                spread=spread,
                is_disputed=veto or None in last or (spread is not None and spread >= rule.dispute_range),
                levels=tuple((str(value), dimension.anchors[value], chosen == str(value)) for value in LEVELS),
                chosen_x=chosen == CANNOT_JUDGE,
                errors=errors.get(dimension.key, []),
            )
        )
    return rows


def marks_of(certification: Certification, columns: list[Column]) -> list[MarkedStep]:
    current = [column for column in columns if column.rating.is_current]
    return marked_steps(
        certification.version, [(column.rater, mark) for column in current for mark in column.rating.marks.all()]
    )


def pointed_images(steps: Iterable[MarkedStep]) -> list[PointedImage]:
    """Images on which raters set a point, each once."""
    by_image: dict[CaseImage, list[Point]] = {}
    for entry in (entry for step in steps for entry in step.marks):
        image, x, y = entry.mark.image, entry.mark.point_x, entry.mark.point_y
        if image is not None and x is not None and y is not None:
            by_image.setdefault(image, []).append(Point(entry.number, x * image.width, y * image.height))
    return [
        PointedImage(
            image=image,
            url=reverse("cases:image", args=[image.public_id]),
            radius=max(image.width, image.height) / 40,
            points=tuple(points),
        )
        for image, points in by_image.items()
    ]


def disputes_of(certification: Certification) -> list[dict[str, Any]]:
    """Disputes of the case's reference, the open ones first, their raters under pseudonyms."""
    study = certification.study
    found = Dispute.objects.filter(case=certification.version.narrative.case_id).select_related("rater")
    return [
        {"dispute": dispute, "rater": pseudonym(study.public_id, dispute.rater.public_id)}
        for dispute in sorted(found, key=lambda dispute: (dispute.outcome != "", dispute.created_at))
    ]


def choices_of(*, acceptable: bool) -> dict[str, list[tuple[Any, ...]]]:
    """Causes as (value, words), and the decisions open for this version as (value, words, whether it accepts)."""
    decisions = [(d.value, d.label, d in Adjudication.ACCEPTING) for d in Adjudication.Decision]
    return {
        "causes": list(Adjudication.Cause.choices),
        "decisions": [entry for entry in decisions if acceptable or not entry[2]],
    }
