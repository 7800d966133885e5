"""Evaluations: machine scores of narrative versions, each with the evaluator's identity."""

from django.db import models
from django.db.models import Q

from modelhub.models.run import Run
from scoring.models import NarrativeVersion, RubricVersion
from scoring.models.fields import PublicIdModel
from scoring.rubric import DIMENSION_CHOICES


class EvaluatorVersion(PublicIdModel):
    """An evaluator as it stood: provider, its settings and rubric, all in ``identity_hash``."""

    name = models.CharField(max_length=120)
    provider = models.CharField(max_length=40)
    identity = models.JSONField()
    identity_hash = models.CharField(max_length=64, unique=True)
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Evaluation(PublicIdModel):
    """One evaluator's scores of one version."""

    class Parse(models.TextChoices):
        EXACT = "exact", "Exact"
        PARSED = "parsed", "Parsed"
        FAILED = "failed", "Failed"

    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="evaluations")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluations")
    critique = models.TextField(blank=True)
    parse_status = models.CharField(max_length=8, choices=Parse)
    tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    cost = models.DecimalField(max_digits=10, decimal_places=6, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "evaluator"],
                name="an_evaluator_scores_a_version_once",
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
