"""Enrolments: who takes part in a study, on which terms, and what she may be given."""

from django.conf import settings
from django.db import models

from scoring.models.study import Study


class InformationSheet(models.Model):
    """What a rater is told before her first case; a new wording is a new version."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="sheets")
    version = models.PositiveIntegerField()
    text = models.TextField()
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["study", "version"], name="sheets_are_numbered_within_a_study")]

    def __str__(self) -> str:
        return f"Information sheet {self.version} of {self.study}"


class Enrolment(models.Model):
    """A rater in a study: invited, then consenting with her statement, perhaps withdrawn."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="enrolments")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="enrolments")
    sheet = models.ForeignKey(
        InformationSheet,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="enrolments",
    )
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    qualification = models.CharField(max_length=200, blank=True)
    years_experience = models.PositiveSmallIntegerField(null=True, blank=True)
    country = models.CharField(max_length=80, blank=True)
    conflicts = models.TextField(blank=True)
    languages = models.JSONField(default=list)
    expertise = models.JSONField(default=list, help_text="Areas, in the study's words, that she is given.")
    calibrated_at = models.DateTimeField(null=True, blank=True)
    excluded_at = models.DateTimeField(null=True, blank=True)
    excluded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    exclusion = models.TextField(blank=True, help_text="The stated limit that was passed, with the figures.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(excluded_at__isnull=True) | ~models.Q(exclusion=""),
                name="an_exclusion_names_its_rule",
            ),
            models.UniqueConstraint(fields=["study", "rater"], name="one_enrolment_per_rater_and_study"),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(sheet__isnull=False),
                name="consent_names_the_sheet_accepted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study}"

    @property
    def may_rate(self) -> bool:
        return self.accepted_at is not None and self.withdrawn_at is None and self.excluded_at is None
