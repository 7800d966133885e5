"""Cases: images with a reference diagnosis, its basis, and what their source allows."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from scoring.models.fields import PublicIdModel


class Source(PublicIdModel):
    """Where cases come from and what may be done with them."""

    class Redistribute(models.TextChoices):
        EMBED = "embed", _("Embed: images may travel with an export")
        REFERENCE = "reference", _("Reference only: name and checksum, no image")
        BLOCK = "block", _("Block: cases of this source never leave in an export")

    name = models.CharField(max_length=120, unique=True)
    licence = models.CharField(max_length=200)
    basis = models.TextField(help_text="Consent or ethics basis.")
    redistribute = models.CharField(max_length=16, choices=Redistribute, default=Redistribute.REFERENCE)
    may_train = models.BooleanField("may train", default=False)
    may_leave_site = models.BooleanField("may leave the site", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Split(models.TextChoices):
    TRAINING = "training", _("Training")
    EVALUATION = "evaluation", _("Evaluation")


class CaseGroup(models.Model):
    """One patient or lesion. The split is a fact of the group, so no group crosses splits."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="groups")
    key = models.CharField(max_length=200)
    split = models.CharField(max_length=16, choices=Split)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="one_group_per_source_and_key")]

    def __str__(self) -> str:
        return self.key


class CaseQuerySet(models.QuerySet["Case"]):
    def training(self) -> Self:
        return self.filter(group__split=Split.TRAINING)

    def evaluation(self) -> Self:
        return self.filter(group__split=Split.EVALUATION)

    def trainable(self) -> Self:
        """Cases that training may read: in the training split, of a source that allows it."""
        return self.training().filter(source__may_train=True)


class Case(PublicIdModel):
    """One presentation of one patient: images, context, reference diagnosis and its basis."""

    class Basis(models.TextChoices):
        HISTOPATHOLOGY = "histopathology", _("Histopathology")
        CONSENSUS = "consensus", _("Consensus of clinicians")
        ONE_CLINICIAN = "one_clinician", _("One clinician")
        DATASET_LABEL = "dataset_label", _("Label of the data set")

    class Sex(models.TextChoices):
        FEMALE = "female", _("Female")
        MALE = "male", _("Male")
        OTHER = "other", _("Other")

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="cases")
    source_key = models.CharField(max_length=200, help_text="Its name at the source; never shown to raters.")
    group = models.ForeignKey(CaseGroup, on_delete=models.PROTECT, related_name="cases")
    diagnosis = models.CharField("reference diagnosis", max_length=200)
    diagnosis_basis = models.CharField("basis", max_length=20, choices=Basis)
    age = models.PositiveSmallIntegerField(null=True, blank=True)
    sex = models.CharField(max_length=8, choices=Sex, blank=True)
    body_site = models.CharField(max_length=80, blank=True)
    skin_tone = models.CharField(max_length=20, blank=True)
    skin_tone_scale = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "source_key"], name="a_case_is_imported_once"),
            models.CheckConstraint(
                condition=(
                    models.Q(skin_tone="", skin_tone_scale="")
                    | (~models.Q(skin_tone="") & ~models.Q(skin_tone_scale=""))
                ),
                name="a_skin_tone_names_its_scale",
            ),
            models.CheckConstraint(
                condition=models.Q(age__isnull=True) | models.Q(age__lte=130),
                name="an_age_is_at_most_130_years",
            ),
        ]
        indexes = [models.Index(fields=["skin_tone_scale", "skin_tone"])]

    def __str__(self) -> str:
        return f"Case {str(self.public_id)[:8]}"

    @property
    def code(self) -> str:
        """Short form of the public id for people."""
        return self.public_id.hex[:8].upper()

    @property
    def split(self) -> str:
        return self.group.split


def image_path(instance: "CaseImage", filename: str) -> str:
    return f"cases/{uuid.uuid4().hex}.{filename.rsplit('.', 1)[-1]}"


def thumbnail_path(instance: "CaseImage", filename: str) -> str:
    return f"thumbnails/{uuid.uuid4().hex}.{filename.rsplit('.', 1)[-1]}"


class CaseImage(PublicIdModel):
    """A re-encoded picture without any metadata; ``sha256`` is of the stored bytes."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="images")
    position = models.PositiveSmallIntegerField()
    file = models.FileField(upload_to=image_path, max_length=120)
    thumbnail = models.FileField(upload_to=thumbnail_path, max_length=120)
    media_type = models.CharField(max_length=20)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64, db_index=True)
    original_sha256 = models.CharField(max_length=64, help_text="Of the file as it came.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["case", "position"], name="images_are_ordered_within_a_case")]

    def __str__(self) -> str:
        return f"Image {self.position} of {self.case}"


class CaseFlag(models.Model):
    """A rater's warning about a case; an open one of the kinds in ``PULLS`` keeps it from all raters."""

    class Kind(models.TextChoices):
        BAD_IMAGE = "bad_image", _("Bad image")
        NOT_SKIN = "not_skin", _("Not skin")
        IDENTIFYING = "identifying", _("Identifying feature")

    PULLS = (Kind.BAD_IMAGE, Kind.NOT_SKIN, Kind.IDENTIFYING)

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="flags")
    kind = models.CharField(max_length=20, choices=Kind)
    note = models.TextField(blank=True)
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(auto_now_add=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.case}"
