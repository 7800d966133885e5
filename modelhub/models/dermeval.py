"""Trainings of DermEval: an evaluator learned from physicians' ratings."""

from django.db import models
from django.db.models import QuerySet

from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import Rating, RubricVersion, Study


class DermEvalTraining(models.Model):
    """What DermEval learned from, with and on.

    ``curves``: by stage one object per logged step; ``adapters``: by stage, once trained, the ``sha256`` of its weights
    and the ``lines`` of its fitted reading (``modelhub.ml.dermeval_lines.FittedLines`` as plain data).
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="dermeval_training")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="dermeval_trainings")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="+")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="+")
    settings = models.JSONField(default=dict)
    curves = models.JSONField(default=dict)
    adapters = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"DermEval on {self.study}"

    @property
    def ratings(self) -> QuerySet[Rating]:
        """Sealed first scores under one rubric, as of the request."""
        return Rating.objects.filter(pk__in=self.learned.values("rating"))


class LearnedRating(models.Model):
    """One rating that a DermEval learned from; a model of its own, so that a rating has no way back to it."""

    training = models.ForeignKey(DermEvalTraining, on_delete=models.CASCADE, related_name="learned")
    rating = models.ForeignKey(Rating, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["training", "rating"], name="a_rating_is_learned_from_once")]

    def __str__(self) -> str:
        return f"{self.training}: {self.rating}"
