"""Ratings: append-only scores on the six dimensions, with their marks."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from scoring.models.assignment import Assignment
from scoring.models.case import CaseImage
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import RubricVersion, Study
from scoring.rubric import CANNOT_JUDGE_REASONS, DIMENSION_CHOICES


class RatingQuerySet(models.QuerySet["Rating"]):
    def current(self) -> Self:
        """Ratings that no correction has replaced."""
        return self.filter(is_current=True)

    def live(self) -> Self:
        """Current ratings that count: not gold, repeats, calibration."""
        return self.current().filter(purpose=Assignment.Purpose.LIVE)


class Rating(PublicIdModel):
    """One judgement of one version by one rater. A correction is a new row that supersedes it.

    ``sealed_at`` is when the reference was revealed to the rater; a rating given after that is
    ``informed``. ``active_seconds`` leaves out idle time and is ``None`` where unknown.
    """

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="ratings")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="ratings")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="ratings")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ratings")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="ratings")
    purpose = models.CharField(max_length=16, choices=Assignment.Purpose)
    client_uuid = models.UUIDField(unique=True, help_text="Made by the page; a resend is recognised by it.")
    supersedes = models.OneToOneField(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="superseded_by",
    )
    is_current = models.BooleanField(default=True)
    informed = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False, help_text="Made by the demo, not by a person.")
    sealed_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True)
    active_seconds = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = RatingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "rater"],
                condition=Q(is_current=True, purpose="live"),
                name="one_live_rating_per_rater_and_version",
            ),
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(is_current=True),
                name="one_current_rating_per_assignment",
            ),
        ]
        indexes = [models.Index(fields=["study", "-created_at"], name="ratings_of_a_study")]

    def __str__(self) -> str:
        return f"Rating {str(self.public_id)[:8]}"

    def scores_by_dimension(self) -> dict[str, float | None]:
        return {score.dimension: score.value for score in self.scores.all()}


class Score(models.Model):
    """One dimension of a rating: a value on the rubric's scale, or why there is none."""

    rating = models.ForeignKey(Rating, on_delete=models.CASCADE, related_name="scores")
    dimension = models.CharField(max_length=32, choices=DIMENSION_CHOICES)
    value = models.FloatField(null=True, blank=True)
    cannot_judge = models.CharField(max_length=20, blank=True, choices=CANNOT_JUDGE_REASONS)
    comment = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rating", "dimension"], name="one_score_per_dimension"),
            models.CheckConstraint(
                condition=Q(value__isnull=True) | Q(value__gte=0, value__lte=5),
                name="a_score_lies_between_0_and_5",
            ),
            models.CheckConstraint(
                condition=(Q(value__isnull=False, cannot_judge="") | (Q(value__isnull=True) & ~Q(cannot_judge=""))),
                name="a_missing_score_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension}: {'cannot judge' if self.value is None else f'{self.value:g}'}"


class Mark(models.Model):
    """A judgement of one step: right, or an error of a type, with an optional span and point.

    ``step`` counts from 1. Span: code points into the version's text, half open. Point: share of
    the image's width and height, 0 to 1.
    """

    class Verdict(models.TextChoices):
        OK = "ok", "Right"
        ERROR = "error", "Error"

    class ErrorType(models.TextChoices):
        HALLUCINATED = "hallucinated_finding", "Hallucinated finding"
        MISSED = "missed_finding", "Missed finding"
        WRONG_REASONING = "wrong_reasoning", "Wrong reasoning"
        UNSAFE_ADVICE = "unsafe_advice", "Unsafe advice"
        WRONG_TERM = "wrong_term", "Wrong term"
        OTHER = "other", "Other"

    class Severity(models.TextChoices):
        MINOR = "minor", "Minor"
        MAJOR = "major", "Major"

    rating = models.ForeignKey(Rating, on_delete=models.CASCADE, related_name="marks")
    step = models.PositiveSmallIntegerField()
    verdict = models.CharField(max_length=8, choices=Verdict)
    error_type = models.CharField(max_length=24, choices=ErrorType, blank=True)
    severity = models.CharField(max_length=8, choices=Severity, blank=True)
    dimension = models.CharField(max_length=32, choices=DIMENSION_CHOICES, blank=True)
    span_start = models.PositiveIntegerField(null=True, blank=True)
    span_end = models.PositiveIntegerField(null=True, blank=True)
    image = models.ForeignKey(CaseImage, null=True, blank=True, on_delete=models.PROTECT, related_name="marks")
    point_x = models.FloatField(null=True, blank=True)
    point_y = models.FloatField(null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="ok", error_type="") | (Q(verdict="error") & ~Q(error_type="")),
                name="an_error_mark_names_its_type",
            ),
            models.CheckConstraint(
                condition=(
                    Q(span_start__isnull=True, span_end__isnull=True)
                    | Q(span_start__isnull=False, span_end__gt=models.F("span_start"))
                ),
                name="a_span_has_a_start_before_its_end",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} at step {self.step}"
