"""Dataset versions: frozen, hashed lists of certified versions (DermCoT, DermBench), and of filtered ones."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.case import Case
from scoring.models.certification import Certification
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study


class DatasetVersion(PublicIdModel):
    """DermCoT vN (certified training cases), DermBench vN (certified evaluation cases), or a filtered part of DermCoT:
    training texts that an automatic rule kept and nobody certified, so a kind of its own, never counted with others.
    Classification vN holds evaluation cases with their labels and no texts: ``labelled`` instead of ``items``.

    ``rule``, ``rule_hash``: what kept its texts, in words and as a hash, where nobody certified them: of a filtered
    part, and of a DermBench made of references as they were published; empty for what was certified.
    ``content_hash`` covers every item's text, case, ratings and image checksums, in order.
    """

    class Kind(models.TextChoices):
        DERMCOT = "dermcot", "DermCoT"
        DERMBENCH = "dermbench", "DermBench"
        FILTERED = "filtered", "DermCoT filtered part"
        LABELLED = "labelled", "Classification"

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
                condition=Q(kind="filtered", rule__gt="", rule_hash__gt="") | ~Q(kind="filtered"),
                name="a_filtered_part_names_its_rule",
            ),
            models.CheckConstraint(
                condition=~Q(kind="dermcot") | Q(rule=""), name="dermcot_holds_certified_texts_alone"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} v{self.number}"


class DatasetItem(models.Model):
    """One version in a dataset; ``record`` is what the content hash covers, its ``part`` says certified, filtered or
    published.

    ``certification`` is ``None`` but in what was certified.
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

    @property
    def case(self) -> Case:
        return self.version.narrative.case


class LabelledCase(models.Model):
    """An evaluation case in a classification version, with its diagnosis as it was then; ``record`` is hashed."""

    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="labelled")
    position = models.PositiveIntegerField()
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=200)
    record = models.JSONField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "position"], name="labelled_cases_are_ordered"),
            models.UniqueConstraint(fields=["dataset", "case"], name="a_case_is_in_a_classification_once"),
            models.CheckConstraint(condition=~Q(label=""), name="a_labelled_case_has_its_label"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} #{self.position}"


class ReferenceFlag(models.Model):
    """What may be wrong with a text that came with an imported case; see ``scoring.reference_flags``."""

    class Kind(models.TextChoices):
        REFUSAL = "refusal", _("Refuses to answer")
        CONTRARY = "contrary", _("Concludes against its label")
        STUB = "stub", _("Its label is a file name")

    version = models.ForeignKey(NarrativeVersion, on_delete=models.CASCADE, related_name="reference_flags")
    kind = models.CharField(max_length=12, choices=Kind)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "kind"], name="a_reference_is_flagged_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.version}"


class ReferenceExclusion(models.Model):
    """A flagged reference that a benchmark version leaves out: why, and by whom. ``kinds`` as of its flags then."""

    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="exclusions")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    kinds = models.JSONField()
    reason = models.TextField()
    excluded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "version"], name="a_dataset_excludes_a_reference_once"),
            models.CheckConstraint(condition=~Q(reason=""), name="an_exclusion_says_why"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} without {self.version}"
