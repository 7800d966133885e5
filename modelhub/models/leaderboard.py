"""Leaderboards: every model measured the same way, as a worker computed it for the pages to read."""

from typing import Any

from django.db import models

from modelhub.models.evaluation import EvaluatorVersion
from modelhub.models.generation import PromptVersion
from scoring.models import DatasetVersion
from scoring.models.fields import PublicIdModel


class Leaderboard(PublicIdModel):
    """Models on one dataset version, asked with one prompt, scored by one evaluator version under its rubric.

    Nothing averages across these. ``machine``: the evaluator's figures from each model's last benchmark run;
    ``people``: physicians' ratings and blind preferences about the same cases, apart from them. Each has the mark of
    what it was computed from, empty before the first time.
    """

    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="leaderboards")
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="leaderboards")
    machine: Any = models.JSONField(null=True, blank=True)
    machine_mark = models.CharField(max_length=64, blank=True)
    people: Any = models.JSONField(null=True, blank=True)
    people_mark = models.CharField(max_length=64, blank=True)
    computed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-computed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "evaluator", "prompt"],
                name="one_leaderboard_per_dataset_evaluator_and_prompt",
            )
        ]

    def __str__(self) -> str:
        return f"{self.dataset}, {self.evaluator}, {self.prompt}"
