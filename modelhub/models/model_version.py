"""Model versions: bases and the adapters trained on them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from scoring.models import Case
from scoring.models.fields import PublicIdModel


class ModelVersion(PublicIdModel):
    """Something that writes narratives. ``location`` is a folder, under ``MEDIA_ROOT`` if relative.

    ``weights_hash``: SHA-256 over the weight files. ``card``: what loading found, as plain data.
    """

    class Kind(models.TextChoices):
        BASE = "base", "Base model"
        ADAPTER = "adapter", "Adapter"

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=12, choices=Kind)
    location = models.CharField(max_length=300)
    base = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="adapters")
    weights_hash = models.CharField(max_length=64)
    card = models.JSONField(default=dict)
    synthetic = models.BooleanField(default=False, help_text="Knows only drawn lesions.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="base", base__isnull=True) | Q(kind="adapter", base__isnull=False),
                name="an_adapter_has_a_base",
            )
        ]

    def __str__(self) -> str:
        return self.name


class SyntheticTruth(models.Model):
    """What a drawn lesion really shows. Read by its evaluator only, never by training."""

    case = models.OneToOneField(Case, on_delete=models.PROTECT, related_name="+")
    lesion = models.JSONField()

    def __str__(self) -> str:
        return f"Truth of {self.case}"
