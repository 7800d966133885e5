"""Marks: a rater's judgement of single steps of the text."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.case import CaseImage
from scoring.models.rating import Rating
from scoring.rubric import DIMENSION_CHOICES


class Mark(models.Model):
    """A judgement of one step: right, or an error of a type, with an optional span and point.

    ``step`` counts from 1. Span: code points into the version's text, half open. Point: share of
    the image's width and height, 0 to 1, from the upper left corner.
    """

    class Verdict(models.TextChoices):
        OK = "ok", _("Right")
        ERROR = "error", _("Error")

    class ErrorType(models.TextChoices):
        HALLUCINATED = "hallucinated_finding", _("Hallucinated finding")
        MISSED = "missed_finding", _("Missed finding")
        WRONG_REASONING = "wrong_reasoning", _("Wrong reasoning")
        UNSAFE_ADVICE = "unsafe_advice", _("Unsafe advice")
        WRONG_TERM = "wrong_term", _("Wrong term")
        OTHER = "other", _("Other")

    class Severity(models.TextChoices):
        MINOR = "minor", _("Minor")
        MAJOR = "major", _("Major")

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
        ordering = ["step"]
        constraints = [
            models.UniqueConstraint(fields=["rating", "step"], name="one_mark_per_step"),
            models.CheckConstraint(condition=Q(step__gte=1), name="steps_count_from_one"),
            models.CheckConstraint(
                condition=Q(verdict="ok", error_type="", severity="") | (Q(verdict="error") & ~Q(error_type="")),
                name="an_error_mark_names_its_type",
            ),
            models.CheckConstraint(
                condition=(
                    Q(span_start__isnull=True, span_end__isnull=True)
                    | Q(span_start__isnull=False, span_end__gt=models.F("span_start"))
                ),
                name="a_span_has_a_start_before_its_end",
            ),
            models.CheckConstraint(
                condition=(
                    Q(image__isnull=True, point_x__isnull=True, point_y__isnull=True)
                    | Q(image__isnull=False, point_x__gte=0, point_x__lte=1, point_y__gte=0, point_y__lte=1)
                ),
                name="a_point_lies_on_its_image",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} at step {self.step}"

    def label(self) -> dict[str, Any]:
        """The mark as data: what was said of the step, without the free note."""
        return {
            "step": self.step,
            "verdict": self.verdict,
            "error_type": self.error_type or None,
            "severity": self.severity or None,
            "dimension": self.dimension or None,
            "span": None if self.span_start is None else [self.span_start, self.span_end],
            "point": None
            if self.image is None
            else {"image": str(self.image.public_id), "x": self.point_x, "y": self.point_y},
        }
