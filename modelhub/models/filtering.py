"""Thresholds by which an evaluator keeps candidates for the filtered part of DermCoT."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from modelhub.models.evaluation import EvaluatorVersion
from scoring.models.fields import PublicIdModel


class FilterThreshold(PublicIdModel):
    """Immutable: kept is what reaches ``minimum_mean`` over the six dimensions and ``minimum_each`` on every one
    (0 to 5). ``content_hash`` covers both and the evaluator's identity."""

    number = models.PositiveIntegerField(unique=True)
    evaluator = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="thresholds")
    minimum_mean = models.FloatField()
    minimum_each = models.FloatField()
    content_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(minimum_mean__gte=0, minimum_mean__lte=5, minimum_each__gte=0, minimum_each__lte=5),
                name="a_threshold_lies_between_0_and_5",
            )
        ]

    def __str__(self) -> str:
        return f"Threshold {self.number}"
