"""Evaluations: machine scores of narrative versions, each with the evaluator's identity."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from modelhub.models.generation import PromptVersion
from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import NarrativeVersion, RubricVersion
from scoring.models.fields import PublicIdModel
from scoring.rubric import DIMENSION_CHOICES


class EvaluatorVersion(PublicIdModel):
    """An evaluator as it stood: provider, its settings and rubric, all in ``identity_hash``.

    ``terms`` cannot change a score and may be edited: prices in US dollars per million tokens, requests a minute, what
    a run may cost. ``canaries``: how far planted scores moved it, ``None`` before anyone tried. ``calibration``:
    against physicians, computed by the worker.
    """

    name = models.CharField(max_length=120)
    provider = models.CharField(max_length=40)
    identity = models.JSONField()
    identity_hash = models.CharField(max_length=64, unique=True)
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    model = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluator_versions"
    )
    prompt = models.ForeignKey(PromptVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    diagnosis_prompt = models.ForeignKey(
        PromptVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    terms = models.JSONField(default=dict, blank=True)
    canaries = models.JSONField(null=True, blank=True)
    calibration = models.JSONField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_judge(self) -> bool:
        """A language model on a server, which the texts it judges can talk to."""
        return self.provider == "judge"

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with a reference text."""
        return self.identity.get("protocol") == "reference"

    @property
    def distrust(self) -> str:
        """Why the scores are marked untrusted; empty for an evaluator that no text can talk to, and a proven judge."""
        if not self.is_judge:
            return ""
        found: dict[str, Any] = self.canaries or {}
        return str(found.get("distrust", "")) if found else "its canaries have not been tried yet"


class Evaluation(PublicIdModel):
    """One evaluator's scores of one version, beside one reference text where it is given one.

    ``diagnosis_right`` is ``None`` where it was not judged or the judgement could not be read; ``diagnosis_note`` says
    what was read. ``reference_sha256`` is empty for an evaluation without a reference.
    """

    class Parse(models.TextChoices):
        EXACT = "exact", _("Exact")
        PARSED = "parsed", _("Parsed")
        PARTIAL = "partial", _("Partly parsed")
        FAILED = "failed", _("Failed")

    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="evaluations")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    reference_sha256 = models.CharField(max_length=64, blank=True)
    critique = models.TextField(blank=True)
    parse_status = models.CharField(max_length=8, choices=Parse)
    problem = models.TextField(blank=True, help_text="What could not be read.")
    diagnosis_right = models.BooleanField(null=True, blank=True)
    diagnosis_note = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    cost = models.DecimalField(max_digits=12, decimal_places=8, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "evaluator", "reference_sha256"],
                name="an_evaluator_scores_a_version_once_per_reference",
            )
        ]

    def __str__(self) -> str:
        return f"{self.evaluator}: {self.version}"


class EvaluationScore(models.Model):
    """One dimension of an evaluation; ``None`` where the evaluator gave no score."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="scores")
    dimension = models.CharField(max_length=32, choices=DIMENSION_CHOICES)
    value = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["evaluation", "dimension"],
                name="one_evaluation_score_per_dimension",
            ),
            models.CheckConstraint(
                condition=Q(value__isnull=True) | Q(value__gte=0, value__lte=5),
                name="an_evaluation_score_lies_between_0_and_5",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension}: {self.value}"


class JudgeReply(models.Model):
    """What a judge's server answered, stored before anything is read from it: no answer is paid for twice.

    ``key`` covers everything that could change the answer. ``token`` is the call's own, by which the answer is read.
    ``refusal`` is a sentence where the model declined. ``cost`` in US dollars, ``None`` where price or tokens are
    unknown. ``plainly``: asked without a schema because the server takes none.
    """

    key = models.CharField(max_length=64, unique=True)
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="replies")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="judge_replies")
    task = models.CharField(max_length=12)
    token = models.CharField(max_length=32)
    text = models.TextField(blank=True)
    refusal = models.TextField(blank=True)
    plainly = models.BooleanField(default=False)
    answering_model = models.CharField(max_length=200, blank=True)
    finish_reason = models.CharField(max_length=40, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField()
    cost = models.DecimalField(max_digits=12, decimal_places=8, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.task} {self.key[:8]}"

    @property
    def tokens(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


class EvaluationRun(models.Model):
    """One evaluator on a pool of narratives. ``results``: computed by the worker, read by pages."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="evaluation_run")
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="runs")
    pool = models.CharField(max_length=200, help_text="Which narratives, in words.")
    results = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.evaluator}: {self.pool}"


class EvaluationEntry(models.Model):
    """One narrative to be evaluated: scored + failed + pending = expected."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        SCORED = "scored", _("Scored")
        FAILED = "failed", _("Failed")

    evaluation_run = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="entries")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    reference = models.ForeignKey(NarrativeVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    evaluation = models.ForeignKey(Evaluation, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["evaluation_run", "version"],
                name="a_run_evaluates_a_version_once",
            ),
            models.CheckConstraint(
                condition=~Q(state="scored") | Q(evaluation__isnull=False),
                name="a_scored_narrative_has_its_evaluation",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""),
                name="a_failed_evaluation_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.evaluation_run}: {self.version}"


class RetestEntry(models.Model):
    """One narrative that an evaluator is asked about a second time, in a table of its own: no figure counts it twice.

    ``scores``: the six keys, ``None`` where the second answer gave no score. ``reference`` as in the first asking.
    """

    State = EvaluationEntry.State

    evaluation_run = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="retests")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    reference = models.ForeignKey(NarrativeVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=EvaluationEntry.State, default=EvaluationEntry.State.PENDING)
    scores = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["evaluation_run", "version"], name="a_run_repeats_a_version_once"),
            models.CheckConstraint(
                condition=~Q(state="scored") | Q(scores__isnull=False), name="a_repeated_narrative_has_scores"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_repeat_says_why"),
        ]

    def __str__(self) -> str:
        return f"{self.evaluation_run}, again: {self.version}"

    @property
    def reference_sha256(self) -> str:
        return self.reference.sha256 if self.reference and self.evaluation_run.evaluator.needs_reference else ""


class PoorNarrative(models.Model):
    """A narrative that was made worse on purpose, so that physicians and evaluators see poor ones too.

    Known here alone: raters meet it as any other text.
    """

    class Kind(models.TextChoices):
        CORRUPTED = "corrupted", _("Findings exchanged")
        TRUNCATED = "truncated", _("Cut off")
        CONTRADICTED = "contradicted", _("Concludes against itself")
        UNSAFE = "unsafe", _("Unsafe advice")

    version = models.OneToOneField(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    made_from = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["made_from", "kind"], name="a_text_is_made_poor_once_in_each_way"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.made_from}"
