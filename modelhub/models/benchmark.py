"""DermBench runs: candidates for every held-out case, scored, with stored results."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from modelhub.models.evaluation import Evaluation, EvaluatorVersion
from modelhub.models.generation import Generation, PromptVersion
from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import Case, DatasetVersion


class BenchmarkRun(models.Model):
    """One comparison: these models on this DermBench version by this evaluator.

    ``manifest``: hashes of dataset, models, prompt, decoding, evaluator and rubric. ``results``:
    computed by the worker, read by pages; ``None`` until every entry is scored or failed.
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="benchmark")
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    candidates = models.ManyToManyField(ModelVersion, related_name="benchmarks")
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="benchmarks")
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="benchmarks")
    manifest = models.JSONField(default=dict)
    results = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.dataset} run"


class BenchmarkEntry(models.Model):
    """One model on one case: scored + failed + pending = expected."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        SCORED = "scored", _("Scored")
        FAILED = "failed", _("Failed")

    benchmark = models.ForeignKey(BenchmarkRun, on_delete=models.PROTECT, related_name="entries")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    generation = models.ForeignKey(Generation, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    evaluation = models.ForeignKey(Evaluation, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["benchmark", "case", "model"],
                name="one_entry_per_case_and_model",
            ),
            models.CheckConstraint(
                condition=~Q(state="scored") | Q(evaluation__isnull=False),
                name="a_scored_entry_has_its_evaluation",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""),
                name="a_failed_entry_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.case}"
