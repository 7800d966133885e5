"""Adjudications: an adjudicator's decision about a disputed version, with her own scores, the reason and the cause."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.certification import Certification
from scoring.models.fields import PublicIdModel
from scoring.rubric import DIMENSION_CHOICES


class Adjudication(PublicIdModel):
    """Belongs to the certification that it made; ``note`` is in her own words."""

    class Decision(models.TextChoices):
        RIGHT = "right", _("Right and safe as it stands")
        MINOR_FAULTS = "minor_faults", _("Minor faults, none that misleads")
        UNSAFE = "unsafe", _("Unsafe advice")
        WRONG_DIAGNOSIS = "wrong_diagnosis", _("Wrong diagnosis")
        INVENTED = "invented", _("Invented or missed findings")
        UNJUDGEABLE = "unjudgeable", _("Cannot be judged from this image")

    class Cause(models.TextChoices):
        SLIP = "slip", _("A slip of a rater")
        RUBRIC = "rubric", _("The rubric leaves it open")
        IMAGE = "image", _("The image leaves it open")
        TEXT = "text", _("The text can be read two ways")
        REFERENCE = "reference", _("The reference diagnosis")
        OPINION = "opinion", _("Experts differ on it")
        NONE = "none", _("No disagreement: the text is weak")

    ACCEPTING = (Decision.RIGHT, Decision.MINOR_FAULTS)

    certification = models.OneToOneField(Certification, on_delete=models.PROTECT, related_name="adjudication")
    decision = models.CharField(max_length=16, choices=Decision)
    cause = models.CharField(max_length=12, choices=Cause)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.decision}: {self.certification}"


class FinalScore(models.Model):
    """The adjudicator's level on one dimension; ``None`` where it cannot be judged."""

    adjudication = models.ForeignKey(Adjudication, on_delete=models.CASCADE, related_name="scores")
    dimension = models.CharField(max_length=32, choices=DIMENSION_CHOICES)
    value = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["adjudication", "dimension"], name="one_final_score_per_dimension"),
            models.CheckConstraint(
                condition=Q(value__isnull=True) | Q(value__gte=0, value__lte=5),
                name="a_final_score_lies_between_0_and_5",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension}: {self.value}"
