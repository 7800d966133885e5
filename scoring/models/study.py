"""Studies: the protocol under which every rating is given."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from scoring import protocol
from scoring.models.fields import PublicIdModel
from scoring.verdict import Policy

MOST_CHECKS = 50  # percent of the queue
PERCENT = [MaxValueValidator(100)]
KAPPA = [MinValueValidator(-1.0), MaxValueValidator(1.0)]


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
        DRAFT = "draft", _("Draft")
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        CLOSED = "closed", _("Closed")

    class Reveal(models.TextChoices):
        NEVER = "never", _("Never")
        AFTER_SUBMIT = "after_submit", _("After submitting")
        ALWAYS = "always", _("Always")

    class Strategy(models.TextChoices):
        RANDOM = "random", _("Random order")
        IN_ORDER = "in_order", _("In the order they were added")
        QUOTA = "quota", _("What lies furthest below its quota first")
        MOST_DISAGREED = "most_disagreed", _("Most disagreed first")
        PUSHED = "pushed", _("By the priority that was pushed down")

    class Stratum(models.TextChoices):
        SKIN_TONE = "skin_tone", _("Skin tone")
        CONDITION = "condition", _("Condition")
        SOURCE = "source", _("Source")

    title = models.CharField(max_length=200)
    question = models.TextField(blank=True)
    arms = models.JSONField(default=list, blank=True, help_text="What is compared, as plain labels.")
    inclusion = models.TextField(blank=True)
    exclusion_rules = models.TextField(blank=True)
    planned_analysis = models.TextField(blank=True)
    ethics = models.TextField(blank=True, help_text="Approval number, or why none is needed.")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="studies")
    policy = models.ForeignKey(CertificationPolicy, on_delete=models.PROTECT, related_name="studies")
    overlap = models.PositiveSmallIntegerField("ratings per narrative", default=3)
    overlap_high = models.PositiveSmallIntegerField(
        "ratings per narrative of the chosen share", null=True, blank=True, help_text="Empty: all cases get the same."
    )
    overlap_percent = models.PositiveSmallIntegerField(
        "share of cases with more ratings, in percent", default=0, validators=PERCENT
    )
    overlap_by = models.CharField("drawn within each", max_length=12, choices=Stratum, blank=True)
    reveal = models.CharField(max_length=16, choices=Reveal, default=Reveal.AFTER_SUBMIT)
    own_diagnosis_first = models.BooleanField("the rater's own diagnosis first", default=False)
    from_scratch_percent = models.PositiveSmallIntegerField(
        "share of cases to be written from scratch, in percent", default=0, validators=PERCENT
    )
    strategy = models.CharField(max_length=16, choices=Strategy, default=Strategy.RANDOM)
    quotas = models.JSONField(default=list, blank=True)
    expertise = models.JSONField("expertise needed", default=list, blank=True)
    crossed = models.BooleanField("the same raters see every text of a case", default=False)
    minimum_gap = models.PositiveSmallIntegerField("narratives between two of one case", default=10)
    seed = models.PositiveIntegerField(default=42)
    lease_minutes = models.PositiveSmallIntegerField(default=30)
    break_minutes = models.PositiveSmallIntegerField("offer a break after, in minutes of work", default=45)
    gate_kappa = models.FloatField("calibration gate: weighted kappa above", null=True, blank=True, validators=KAPPA)
    gold_percent = models.PositiveSmallIntegerField("silent gold, in percent", default=0, validators=PERCENT)
    repeat_percent = models.PositiveSmallIntegerField("silent repeats, in percent", default=0, validators=PERCENT)
    hasty_limit = models.PositiveSmallIntegerField(
        "faster than reading, above percent", null=True, blank=True, validators=PERCENT
    )
    identical_limit = models.PositiveSmallIntegerField(
        "identical rows, above percent", null=True, blank=True, validators=PERCENT
    )
    gold_limit = models.FloatField("weighted kappa on gold, below", null=True, blank=True, validators=KAPPA)
    clinician = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Is told at once of a possible missed malignancy.",
    )
    settings_version = models.PositiveIntegerField(default=1, help_text="Counts amendments; slots name theirs.")
    priorities_at = models.DateTimeField(null=True, blank=True)
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
                condition=models.Q(overlap_high__isnull=True) | models.Q(overlap_high__gt=models.F("overlap")),
                name="a_higher_overlap_is_higher",
            ),
            models.CheckConstraint(
                condition=models.Q(overlap_percent__lte=100, from_scratch_percent__lte=100)
                & models.Q(gold_percent__lte=50, repeat_percent__lte=50),
                name="shares_are_percentages",
            ),
            models.CheckConstraint(
                condition=models.Q(gate_kappa__isnull=True) | models.Q(gate_kappa__gt=0, gate_kappa__lte=1),
                name="a_gate_lies_between_0_and_1",
            ),
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

    def clean(self) -> None:
        """What no single field can tell. Raises ``ValidationError`` keyed by the field to change."""
        problems = {}
        if self.overlap_percent and self.overlap_high is None:
            problems["overlap_high"] = gettext("Say how many ratings the chosen share of cases gets.")
        if self.overlap_high is not None and self.overlap is not None and self.overlap_high <= self.overlap:
            problems["overlap_high"] = gettext("It must be above the %(number)s ratings that every narrative gets.") % {
                "number": self.overlap
            }
        if self.overlap_high is not None and not self.overlap_percent:
            problems["overlap_percent"] = gettext("Say which share of the cases gets more ratings.")
        if self.crossed and self.strategy == self.Strategy.IN_ORDER:
            problems["strategy"] = gettext(
                "A crossed study shows the texts of a case in random order. Choose another order."
            )
        if self.crossed and self.from_scratch_percent:
            problems["from_scratch_percent"] = gettext(
                "A crossed study compares the texts that it has: it takes none written from scratch."
            )
        if self.own_diagnosis_first and self.reveal == self.Reveal.ALWAYS:
            problems["own_diagnosis_first"] = gettext(
                "Raters who are always shown the reference cannot give their own diagnosis first."
            )
        if self.strategy == self.Strategy.QUOTA and not self.quotas:
            problems["quotas"] = gettext("State the quotas that decide the order.")
        if (self.gold_percent or 0) + (self.repeat_percent or 0) > MOST_CHECKS:
            problems["gold_percent"] = gettext("Gold and repeats together are at most %(number)s %% of the queue.") % {
                "number": MOST_CHECKS
            }
        if self.lease_minutes is not None and self.lease_minutes < 1:
            problems["lease_minutes"] = gettext("Hold a narrative for at least one minute.")
        if problems:
            raise ValidationError(problems)

    def protocol(self) -> dict[str, Any]:
        """Everything that *start* locks, as plain data."""
        plain = {name: getattr(self, name) for name in protocol.FIELDS}
        clinician = str(getattr(self.clinician, "public_id", "")) if self.clinician_id else None
        return plain | {
            "clinician": clinician,
            "rubric": self.rubric.content_hash,
            "policy": self.policy.settings,
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
