"""Trainings: an adapter fine-tuned from a base on a DermCoT version."""

from django.db import models

from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import DatasetVersion


class Training(models.Model):
    """What a training run trains from, on and with, and what came of it.

    ``curve``: one object per logged step (``step``, ``epoch``, loss terms unweighted, ``lr``).
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="training")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="trainings")
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    settings = models.JSONField(default=dict)
    curve = models.JSONField(default=list)
    metrics = models.JSONField(default=dict)
    result = models.OneToOneField(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="training",
    )

    def __str__(self) -> str:
        return f"Training on {self.dataset}"
