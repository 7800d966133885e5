"""Preferences: blind comparisons of two versions for one case."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study
from scoring.rubric import DIMENSION_CHOICES


class Preference(PublicIdModel):
    """Which of two versions a rater preferred, sides as she saw them."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="preferences")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="preferences")
    left = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    right = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    client_uuid = models.UUIDField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(left=F("right")), name="a_preference_has_two_sides"),
            models.UniqueConstraint(
                fields=["study", "rater", "left", "right"],
                name="one_preference_per_rater_and_pair",
            ),
        ]

    def __str__(self) -> str:
        return f"Preference {str(self.public_id)[:8]}"


class PreferenceChoice(models.Model):
    """The choice on one dimension, or overall."""

    class Choice(models.TextChoices):
        LEFT = "left", "Left"
        RIGHT = "right", "Right"
        TIE = "tie", "Tie"
        BOTH_BAD = "both_bad", "Both bad"

    preference = models.ForeignKey(Preference, on_delete=models.CASCADE, related_name="choices")
    dimension = models.CharField(max_length=32, choices=[*DIMENSION_CHOICES, ("overall", "Overall")])
    choice = models.CharField(max_length=8, choices=Choice)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["preference", "dimension"], name="one_choice_per_dimension")]

    def __str__(self) -> str:
        return f"{self.dimension}: {self.choice}"
