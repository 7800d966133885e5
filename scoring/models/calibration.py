"""Learning to rate: narratives with agreed scores, and what raters answered before they could see them.

None of these rows is a rating: nothing here can reach agreement, certification or a data set.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import RubricVersion


class CalibrationExample(PublicIdModel):
    """A version with the scores that people agreed on under one rubric version.

    ``scores``: dimension key to a level of the rubric, all six. ``explanations``: dimension key to why,
    where somebody wrote it down.
    """

    class Role(models.TextChoices):
        WORKED = "worked", _("Worked example, shown with its scores")
        GATE = "gate", _("Gate: scored first, then explained")
        GOLD = "gold", _("Silent gold in the queue")

    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="examples")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="examples")
    role = models.CharField(max_length=8, choices=Role)
    scores = models.JSONField()
    explanations = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["rubric", "version"],
                condition=Q(retired_at__isnull=True),
                name="one_example_per_rubric_and_version",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.version}"


class CalibrationAttempt(PublicIdModel):
    """A rater's walk through the gate's examples.

    ``kappas``: dimension key to weighted kappa, once finished. ``lenient``: the most that these examples
    allow someone who only ever answers 4 or 5.
    """

    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="attempts")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    kappas = models.JSONField(null=True, blank=True)
    lenient = models.FloatField(default=0.0)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["rubric", "rater", "number"], name="attempts_are_numbered_per_rater"),
            models.UniqueConstraint(
                fields=["rubric", "rater"],
                condition=Q(finished_at__isnull=True),
                name="one_unfinished_attempt_per_rater",
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(kappas__isnull=False),
                name="a_finished_attempt_has_its_kappas",
            ),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number} of {self.rater}"


class CalibrationAnswer(models.Model):
    """One example of an attempt; ``scores`` is ``None`` until she has answered, and never changes after."""

    attempt = models.ForeignKey(CalibrationAttempt, on_delete=models.CASCADE, related_name="answers")
    example = models.ForeignKey(CalibrationExample, on_delete=models.PROTECT, related_name="answers")
    position = models.PositiveSmallIntegerField()
    seen_before = models.BooleanField(help_text="She has been shown its scores in an earlier attempt.")
    scores = models.JSONField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    draft: Any = models.JSONField(default=dict, help_text="What she has entered and not sent, as in RatingDraft.")
    draft_revision = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["attempt", "example"], name="one_answer_per_attempt_and_example"),
            models.UniqueConstraint(fields=["attempt", "position"], name="answers_are_ordered_within_an_attempt"),
        ]

    def __str__(self) -> str:
        return f"Answer {self.position} of {self.attempt}"
