"""Model versions: bases and the adapters trained on them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models import Case
from scoring.models.fields import PublicIdModel


class ModelVersion(PublicIdModel):
    """Something that writes narratives. ``location``: a folder, under ``MEDIA_ROOT`` if relative; a server's address.

    ``weights_hash``: SHA-256 over the weight files; of a server, whose weights nobody here knows, over its address and
    the model's name there. ``card``: what loading found, as plain data. ``endpoint``: how to ask a server. ``family``:
    who its kin are, since a judge favours its own.
    """

    class Kind(models.TextChoices):
        BASE = "base", _("Base model")
        ADAPTER = "adapter", _("Adapter")
        ENDPOINT = "endpoint", _("Model on a server")

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=12, choices=Kind)
    location = models.CharField(max_length=300)
    base = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="adapters")
    weights_hash = models.CharField(max_length=64)
    card = models.JSONField(default=dict)
    family = models.CharField(max_length=60, blank=True, help_text="Whose kin it is, such as qwen; empty: unknown.")
    endpoint = models.JSONField(default=dict, blank=True)
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
                condition=Q(kind__in=["base", "endpoint"], base__isnull=True) | Q(kind="adapter", base__isnull=False),
                name="an_adapter_has_a_base",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kin(self) -> str:
        """Its family, an adapter's that of its base; empty where nobody said."""
        return (self.family or (self.base.kin if self.base else "")).strip().lower()

    @property
    def branch_off(self) -> str:
        """Why the side branch that lies in the files does nothing; empty where it works or there is none."""
        branch = self.card.get("branch") or {}
        return branch.get("why", "") if branch.get("state") == "off" else ""


class SyntheticTruth(models.Model):
    """What a drawn lesion really shows. Read by its evaluator only, never by training."""

    case = models.OneToOneField(Case, on_delete=models.PROTECT, related_name="+")
    lesion = models.JSONField()

    def __str__(self) -> str:
        return f"Truth of {self.case}"
