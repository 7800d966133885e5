"""Trainings of DermEval: an evaluator learned from physicians' ratings."""

from django.db import models

from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import Rating, RubricVersion, Study


class DermEvalTraining(models.Model):
    """What DermEval learned from, with and on. ``ratings``: sealed first scores under one rubric, as of the request.

    ``curves``: by stage one object per logged step; ``adapters``: by stage the SHA-256 of its weights, once trained.
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="dermeval_training")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="dermeval_trainings")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="+")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    ratings = models.ManyToManyField(Rating, related_name="+")
    settings = models.JSONField(default=dict)
    curves = models.JSONField(default=dict)
    adapters = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"DermEval on {self.study}"
