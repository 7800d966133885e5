"""Ratings: append-only scores on the six dimensions, and who has been shown which reference."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from scoring.models.assignment import Assignment
from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import RubricVersion, Study
from scoring.rubric import CANNOT_JUDGE_REASONS, DIMENSION_CHOICES


class RatingQuerySet(models.QuerySet["Rating"]):
    def current(self) -> Self:
        """Each rater's last word: ratings that no later one of hers has replaced."""
        return self.filter(is_current=True)

    def live(self) -> Self:
        """Current ratings that count: not gold, repeats, calibration, nor of the rater's own text."""
        return self.current().filter(purpose=Assignment.Purpose.LIVE)

    def sealed_first(self) -> Self:
        """What raters said before they knew more: sealed, never informed. Agreement and calibration use these alone."""
        return self.filter(is_first=True, purpose=Assignment.Purpose.LIVE, sealed_at__lte=timezone.now())

    def informed(self) -> Self:
        """Current ratings given or changed after the reference or the consensus was open to the rater."""
        return self.live().filter(informed=True)


class Rating(PublicIdModel):
    """One judgement of one version by one rater. A change is a new row that supersedes it.

    ``sealed_at``: from then on the first submission stands: when the reference is revealed to her, at
    the latest half an hour after it. A change before that is the new first; one after it is
    ``informed``, as is a score of a second text about a case whose reference she has seen. So a slot
    has at most one ``is_first`` (for agreement) and one ``is_current`` (her last word), which may be
    the same row. ``active_seconds`` leaves out idle time and is ``None`` where unknown.
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
    is_first = models.BooleanField(default=True)
    informed = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False, help_text="Made by the demo, not by a person.")
    sealed_at = models.DateTimeField()
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
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(is_first=True),
                name="one_first_rating_per_assignment",
            ),
            models.CheckConstraint(
                condition=(
                    Q(informed=True, is_first=False)
                    | Q(informed=False, is_first=True)
                    | Q(informed=False, is_first=False, is_current=False)
                ),
                name="a_first_rating_is_never_informed",
            ),
        ]
        indexes = [models.Index(fields=["study", "-created_at"], name="ratings_of_a_study")]

    def __str__(self) -> str:
        return f"Rating {str(self.public_id)[:8]}"

    @property
    def is_sealed(self) -> bool:
        return self.sealed_at <= timezone.now()

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


class Reveal(models.Model):
    """A case's reference diagnosis was shown to a rater; what she says about the case from then on is informed."""

    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reveals")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reveals")
    revealed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rater", "case"], name="one_reveal_per_rater_and_case")]

    def __str__(self) -> str:
        return f"{self.case} to {self.rater}"
