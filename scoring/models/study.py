"""Studies: the protocol under which every rating is given."""

from typing import Any

from django.conf import settings
from django.db import models

from scoring.models.fields import PublicIdModel
from scoring.verdict import Policy


class RubricVersion(PublicIdModel):
    """The words of the six dimensions as they stood; ratings name it."""

    number = models.PositiveIntegerField(unique=True)
    content = models.JSONField()
    content_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Rubric {self.number}"


class CertificationPolicy(PublicIdModel):
    """Thresholds of the pure rule in ``scoring.verdict``; immutable, verdicts name it."""

    number = models.PositiveIntegerField(unique=True)
    settings = models.JSONField()
    content_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Policy {self.number}"

    @property
    def rule(self) -> Policy:
        return Policy(**self.settings)


class Study(PublicIdModel):
    """A question, its protocol and its raters. Locked and hashed when it starts."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        CLOSED = "closed", "Closed"

    class Reveal(models.TextChoices):
        NEVER = "never", "Never"
        AFTER_SUBMIT = "after_submit", "After submitting"
        ALWAYS = "always", "Always"

    class Strategy(models.TextChoices):
        RANDOM = "random", "Random order"
        IN_ORDER = "in_order", "In the order they were added"

    title = models.CharField(max_length=200)
    question = models.TextField(blank=True)
    arms = models.JSONField(default=list, blank=True, help_text="What is compared, as plain labels.")
    inclusion = models.TextField(blank=True)
    exclusion_rules = models.TextField(blank=True)
    planned_analysis = models.TextField(blank=True)
    ethics = models.TextField(blank=True, help_text="Approval number, or why none is needed.")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="studies")
    policy = models.ForeignKey(CertificationPolicy, on_delete=models.PROTECT, related_name="studies")
    overlap = models.PositiveSmallIntegerField(default=3)
    reveal = models.CharField(max_length=16, choices=Reveal, default=Reveal.AFTER_SUBMIT)
    strategy = models.CharField(max_length=16, choices=Strategy, default=Strategy.RANDOM)
    seed = models.PositiveIntegerField(default=42)
    lease_minutes = models.PositiveSmallIntegerField(default=30)
    state = models.CharField(max_length=16, choices=State, default=State.DRAFT)
    protocol_hash = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            models.CheckConstraint(condition=models.Q(overlap__gte=1), name="a_study_needs_an_overlap"),
            models.CheckConstraint(
                condition=models.Q(state="draft") | ~models.Q(protocol_hash=""),
                name="a_started_study_has_a_protocol_hash",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.state == self.State.RUNNING

    def protocol(self) -> dict[str, Any]:
        """Everything that *start* locks, as plain data."""
        return {
            "title": self.title,
            "question": self.question,
            "arms": self.arms,
            "inclusion": self.inclusion,
            "exclusion_rules": self.exclusion_rules,
            "planned_analysis": self.planned_analysis,
            "ethics": self.ethics,
            "rubric": self.rubric.content_hash,
            "policy": self.policy.content_hash,
            "overlap": self.overlap,
            "reveal": self.reveal,
            "strategy": self.strategy,
            "seed": self.seed,
        }


class Amendment(models.Model):
    """A change of a started study, with its reason and the protocol before and after."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="amendments")
    number = models.PositiveIntegerField()
    reason = models.TextField()
    before = models.JSONField()
    after = models.JSONField()
    protocol_hash = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "number"],
                name="amendments_are_numbered_within_a_study",
            )
        ]

    def __str__(self) -> str:
        return f"Amendment {self.number} of {self.study}"


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
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
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
        return self.accepted_at is not None and self.withdrawn_at is None
