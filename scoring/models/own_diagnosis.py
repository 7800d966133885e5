"""What a rater held a case to be before she saw any text about it."""

from django.conf import settings
from django.db import models

from scoring.models.assignment import Assignment
from scoring.models.case import Case
from scoring.models.dispute import Dispute
from scoring.models.study import Study


class OwnDiagnosis(models.Model):
    """Her diagnosis from the images and the context alone; written once, never changed.

    ``assignment``: the slot whose text was kept from her until then. ``informed``: she had been shown the case's
    reference before.
    """

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="own_diagnoses")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="own_diagnoses")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="+")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    diagnosis = models.CharField(max_length=200)
    confidence = models.CharField(max_length=8, choices=Dispute.Confidence)
    informed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]
        verbose_name_plural = "own diagnoses"
        constraints = [
            models.UniqueConstraint(
                fields=["study", "case", "rater"], name="one_own_diagnosis_per_rater_case_and_study"
            ),
            models.CheckConstraint(condition=~models.Q(diagnosis=""), name="an_own_diagnosis_has_words"),
        ]

    def __str__(self) -> str:
        return f"“{self.diagnosis}” ({self.confidence})"
