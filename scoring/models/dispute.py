"""Disputes: a rater who has seen the reference diagnosis holds it to be wrong."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.rating import Rating


class DisputeQuerySet(models.QuerySet["Dispute"]):
    def open(self) -> Self:
        """Disputes that no adjudicator has settled."""
        return self.filter(outcome="")


class Dispute(PublicIdModel):
    """Her own diagnosis against the reference, with how sure she is; open until an adjudicator settles it.

    While one is open, no text about the case can be certified.
    """

    class Confidence(models.TextChoices):
        POSSIBLE = "possible", _("Possible")
        PROBABLE = "probable", _("Probable")
        CERTAIN = "certain", _("Certain")

    class Outcome(models.TextChoices):
        STANDS = "stands", _("The reference stands")
        CORRECTED = "corrected", _("The reference was corrected")

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="disputes")
    rating = models.ForeignKey(Rating, on_delete=models.PROTECT, related_name="disputes")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=200, help_text="What is disputed, as it read then.")
    diagnosis = models.CharField("own diagnosis", max_length=200)
    confidence = models.CharField(max_length=8, choices=Confidence)
    note = models.TextField(blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="The adjudicator's.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["case", "rater"], condition=Q(outcome=""), name="one_open_dispute_per_rater_and_case"
            ),
            models.CheckConstraint(
                condition=(
                    Q(outcome="", settled_by__isnull=True, settled_at__isnull=True, reason="")
                    | (~Q(outcome="") & Q(settled_by__isnull=False, settled_at__isnull=False) & ~Q(reason=""))
                ),
                name="a_settled_dispute_says_by_whom_and_why",
            ),
        ]

    def __str__(self) -> str:
        return f"“{self.diagnosis}” against “{self.reference}”"
