"""Assignments: the exact slots in which versions are rated."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from scoring.models.case import CaseFlag
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def claimable(self, now: datetime) -> Self:
        """Open slots, and claimed ones whose lease ran out, of cases without an open flag."""
        flagged = CaseFlag.objects.filter(case=OuterRef("version__narrative__case"), resolved_at__isnull=True)
        return self.filter(
            Q(state=Assignment.State.OPEN) | Q(state=Assignment.State.CLAIMED, lease_expires__lt=now)
        ).filter(~Exists(flagged))

    def for_rater(self, rater_id: int) -> Self:
        """Slots that this rater may take: not her own text, none she has, had rated or skipped."""
        mine = Assignment.objects.filter(
            version=OuterRef("version"), rater=rater_id, purpose=OuterRef("purpose")
        ).exclude(pk=OuterRef("pk"))
        skipped = Skip.objects.filter(version=OuterRef("version"), rater=rater_id)
        return self.exclude(version__author=rater_id).filter(~Exists(mine), ~Exists(skipped))


class Assignment(PublicIdModel):
    """One slot: this version needs one rating. Claimed under a lease, then submitted once."""

    class Purpose(models.TextChoices):
        LIVE = "live", "Live"
        REPEAT = "repeat", "Repeat"
        GOLD = "gold", "Gold"
        CALIBRATION = "calibration", "Calibration"
        ADJUDICATION = "adjudication", "Adjudication"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLAIMED = "claimed", "Claimed"
        SUBMITTED = "submitted", "Submitted"
        CLOSED = "closed", "Closed"

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="assignments")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="assignments")
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.LIVE)
    slot = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    rater = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_expires = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    priority = models.IntegerField(default=0, help_text="Higher comes first.")
    order_key = models.BigIntegerField(help_text="Random; fixed by the study's seed.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "version", "purpose", "slot"],
                name="one_assignment_per_slot",
            ),
            models.UniqueConstraint(
                fields=["version", "rater"],
                condition=Q(purpose="live", rater__isnull=False),
                name="one_live_assignment_per_rater_and_version",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="open", rater__isnull=True)
                    | Q(state="closed")
                    | Q(state__in=["claimed", "submitted"], rater__isnull=False)
                ),
                name="a_taken_slot_names_its_rater",
            ),
        ]
        indexes = [
            models.Index(
                fields=["study", "state", "-priority", "order_key"],
                name="next_in_queue",
            ),
            models.Index(fields=["rater", "state"], name="slots_of_a_rater"),
        ]

    def __str__(self) -> str:
        return f"Slot {self.slot} of {self.version}"


class Skip(models.Model):
    """A rater passed a version on; she is not offered it again."""

    class Reason(models.TextChoices):
        BAD_IMAGE = "bad_image", "Bad image"
        NOT_SKIN = "not_skin", "Not skin"
        IDENTIFYING = "identifying", "Identifying feature"
        OUTSIDE_EXPERTISE = "outside_expertise", "Outside my expertise"
        OTHER = "other", "Other"

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="skips")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="skips")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=20, choices=Reason)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "rater"], name="one_skip_per_rater_and_version")]

    def __str__(self) -> str:
        return f"{self.rater} skipped {self.version}"


class RatingDraft(models.Model):
    """What a rater has entered but not submitted, field by field, as her page last sent it."""

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="draft")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    content = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"Draft of {self.assignment}"
