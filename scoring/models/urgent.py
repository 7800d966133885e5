"""Urgent notices: a rater saw a possible missed malignancy, and what the clinician answered."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.study import Study


class UrgentNotice(PublicIdModel):
    """Sent to the study's named clinician, to its administrators where none is named; open until answered.

    ``mailed_to`` counts the addresses that the mail server took; ``mail_error`` says why it took none.
    """

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="urgent_notices")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="urgent_notices")
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True)
    clinician = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    raised_at = models.DateTimeField(auto_now_add=True)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mailed_to = models.PositiveSmallIntegerField(default=0)
    mail_error = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["case", "raised_by"],
                condition=Q(answered_at__isnull=True),
                name="one_open_urgent_notice_per_case_and_rater",
            ),
            models.CheckConstraint(
                condition=(
                    Q(answered_at__isnull=True, answered_by__isnull=True, answer="")
                    | (Q(answered_at__isnull=False, answered_by__isnull=False) & ~Q(answer=""))
                ),
                name="an_urgent_answer_says_by_whom_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"Urgent: {self.case}"
