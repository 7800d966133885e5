"""Certifications: verdicts about a version, with everything needed to reach them again."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.rating import Rating
from scoring.models.study import CertificationPolicy, Study


class Certification(PublicIdModel):
    """The outcome for one version in one study: by the rule, or by an adjudicator.

    The rule takes each rater's last word. ``scores_used`` says whether all of them are first
    submissions, or some were given or changed after the reference or the consensus was known.
    ``evidence`` holds the reasons, the means and the inputs of the rule as they were.
    """

    class Outcome(models.TextChoices):
        CERTIFIED = "certified", _("Certified")
        ADJUDICATION = "adjudication", _("Waits for adjudication")
        REVISION = "revision", _("Needs revision")
        REJECTED = "rejected", _("Rejected")

    class ScoresUsed(models.TextChoices):
        FIRST = "first", _("First scores only")
        INFORMED = "informed", _("Informed scores among them")

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="certifications")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="certifications")
    policy = models.ForeignKey(CertificationPolicy, on_delete=models.PROTECT, related_name="certifications")
    outcome = models.CharField(max_length=16, choices=Outcome)
    scores_used = models.CharField(max_length=8, choices=ScoresUsed)
    evidence = models.JSONField()
    ratings = models.ManyToManyField(Rating, related_name="certifications")
    adjudicator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    reason = models.TextField(blank=True, help_text="The adjudicator's.")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "version"],
                condition=Q(is_current=True),
                name="one_current_certification_per_version",
            ),
            models.CheckConstraint(
                condition=Q(adjudicator__isnull=True) | ~Q(reason=""),
                name="an_adjudicator_gives_a_reason",
            ),
        ]
        indexes = [models.Index(fields=["is_current", "outcome"], name="verdicts_by_outcome")]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.version}"
