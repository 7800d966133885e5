"""Artifacts: files that runs made for people to download."""

from django.db import models

from modelhub.models.run import Run
from scoring.models import DatasetVersion
from scoring.models.fields import PublicIdModel


class Artifact(PublicIdModel):
    """A finished export; ``sha256`` is of the whole file, ``size`` in bytes."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="artifacts")
    dataset = models.ForeignKey(
        DatasetVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    name = models.CharField(max_length=120)
    file = models.FileField(upload_to="artifacts/", max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """Statistics as a worker computed them, for pages to read."""

    name = models.CharField(max_length=60, unique=True)
    content = models.JSONField()
    computed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
