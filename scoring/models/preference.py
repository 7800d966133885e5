"""Preferences: which of two versions a person found better. Only ever added to: a vote is locked once it is given."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.pair import PairSlot
from scoring.models.study import Study
from scoring.rubric import DIMENSION_CHOICES

OVERALL = "overall"


class LockedQuerySet(models.QuerySet[Any]):
    """Rows that can be added and read, and nothing else."""

    def update(self, **values: Any) -> NoReturn:
        raise TypeError("A preference is locked once it is given.")

    def delete(self) -> NoReturn:
        raise TypeError("A preference is locked once it is given.")


class LockedModel(models.Model):
    objects = LockedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A preference is locked once it is given.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("A preference is locked once it is given.")


class Preference(LockedModel, PublicIdModel):
    """Which of two versions a rater preferred, sides as she saw them.

    ``origin``: a blind vote in a slot, or a revision: her corrected text (right) over the draft (left).
    ``active_seconds`` leaves out idle time and is ``None`` where unknown.
    """

    class Origin(models.TextChoices):
        BLIND = "blind", _("Blind comparison")
        REVISION = "revision", _("Revision of a draft")

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="preferences")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="preferences")
    left = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    right = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    origin = models.CharField(max_length=8, choices=Origin)
    slot = models.OneToOneField(
        PairSlot,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="preference",
        help_text="Of a blind vote.",
    )
    client_uuid = models.UUIDField(unique=True)
    comment = models.TextField(blank=True)
    active_seconds = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(left=F("right")), name="a_preference_has_two_sides"),
            models.CheckConstraint(
                condition=Q(origin="blind", slot__isnull=False) | Q(origin="revision", slot__isnull=True),
                name="a_blind_vote_names_its_slot",
            ),
            models.UniqueConstraint(
                fields=["study", "rater", "left", "right"],
                condition=Q(origin="revision"),
                name="one_preference_per_revision",
            ),
        ]
        indexes = [models.Index(fields=["rater", "-created_at"], name="preferences_of_a_rater")]

    def __str__(self) -> str:
        return f"Preference {str(self.public_id)[:8]}"


class PreferenceChoice(LockedModel):
    """The choice on one dimension, or overall."""

    class Choice(models.TextChoices):
        LEFT = "left", pgettext_lazy("side", "Left")
        RIGHT = "right", pgettext_lazy("side", "Right")
        TIE = "tie", _("Tie")
        BOTH_BAD = "both_bad", _("Both bad")

    preference = models.ForeignKey(Preference, on_delete=models.PROTECT, related_name="choices")
    dimension = models.CharField(max_length=32, choices=[*DIMENSION_CHOICES, (OVERALL, _("Overall"))])
    choice = models.CharField(max_length=8, choices=Choice)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["preference", "dimension"], name="one_choice_per_dimension")]

    def __str__(self) -> str:
        return f"{self.dimension}: {self.choice}"
