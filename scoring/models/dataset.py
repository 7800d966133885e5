"""Dataset versions: frozen, hashed lists of certified versions (DermCoT, DermBench), and of filtered ones."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from scoring.models.certification import Certification
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study


class DatasetVersion(PublicIdModel):
    """DermCoT vN (certified training cases), DermBench vN (certified evaluation cases), or a filtered part of DermCoT:
    training texts that an automatic rule kept and nobody certified, so a kind of its own, never counted with others.

    ``rule``, ``rule_hash``: the filtered part's, in words and as a hash; empty for what was certified.
    ``content_hash`` covers every item's text, case, ratings and image checksums, in order.
    """

    class Kind(models.TextChoices):
        DERMCOT = "dermcot", "DermCoT"
        DERMBENCH = "dermbench", "DermBench"
        FILTERED = "filtered", "DermCoT filtered part"

    kind = models.CharField(max_length=12, choices=Kind)
    number = models.PositiveIntegerField()
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="datasets")
    content_hash = models.CharField(max_length=64)
    rule = models.TextField(blank=True)
    rule_hash = models.CharField(max_length=64, blank=True)
    item_count = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["kind", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "number"], name="datasets_are_numbered_by_kind"),
            models.CheckConstraint(condition=Q(item_count__gte=1), name="a_dataset_is_not_empty"),
            models.CheckConstraint(
                condition=Q(kind="filtered", rule__gt="", rule_hash__gt="") | (~Q(kind="filtered") & Q(rule="")),
                name="a_filtered_part_names_its_rule",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} v{self.number}"


class DatasetItem(models.Model):
    """One version in a dataset; ``record`` is what the content hash covers, its ``part`` says certified or filtered.

    ``certification`` is ``None`` in a filtered part.
    """

    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveIntegerField()
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="dataset_items")
    certification = models.ForeignKey(
        Certification, null=True, blank=True, on_delete=models.PROTECT, related_name="dataset_items"
    )
    record = models.JSONField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "position"],
                name="items_are_ordered_within_a_dataset",
            ),
            models.UniqueConstraint(fields=["dataset", "version"], name="a_version_is_in_a_dataset_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} #{self.position}"
