"""Assignments: the exact slots in which versions are rated."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from scoring.models.case import Case
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def claimable(self, now: datetime) -> Self:
        """Open slots, and taken ones whose lease ran out; those of flagged cases included."""
        return self.filter(
            Q(state=Assignment.State.OPEN) | Q(state__in=Assignment.LEASED, lease_expires__lt=now),
            purpose=Assignment.Purpose.LIVE,
        )


class Assignment(PublicIdModel):
    """One slot: this version needs one rating. Claimed under a lease, then submitted once.

    A slot that is *held* was fetched ahead by its rater's page: hers for a short while, and anybody's
    who finds nothing else. ``case`` and ``language`` are the version's, ``entry`` and ``reserved_for``
    belong to crossed studies (see ``services.crossing``). ``priority``, ``order_key`` and ``why`` are
    written by ``services.priorities``; a claim only reads them. ``sequence`` is the rater's n-th slot
    in the study, from 1. ``settings_version``: the study's settings under which it was claimed.
    """

    class Purpose(models.TextChoices):
        LIVE = "live", _("Live")
        REPEAT = "repeat", _("Repeat")
        GOLD = "gold", _("Gold")
        ADJUDICATION = "adjudication", _("Adjudication")
        REVISION = "revision", _("Own revision")  # a rater scores what she corrected; it never counts
        EXCLUDED = "excluded", _("Of an excluded rater")  # was live; another slot has taken its place

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        HELD = "held", _("Held")
        CLAIMED = "claimed", _("Claimed")
        SUBMITTED = "submitted", _("Submitted")
        CLOSED = "closed", _("Closed")

    LEASED = (State.HELD, State.CLAIMED)
    QUEUED = (Purpose.LIVE, Purpose.REPEAT, Purpose.GOLD)

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="assignments", db_index=False)
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="assignments")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="assignments")
    language = models.CharField(max_length=12)
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.LIVE)
    slot = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    rater = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
        db_index=False,
    )
    sequence = models.PositiveIntegerField(null=True, blank=True)
    settings_version = models.PositiveIntegerField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_expires = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    needs_expertise = models.CharField(max_length=80, blank=True)
    entry = models.BooleanField(default=True)
    reserved_for = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    boost = models.SmallIntegerField(default=0, help_text="Set by people; before any strategy. Higher comes first.")
    pushed = models.FloatField(null=True, blank=True, help_text="Set from outside, for the strategy that reads it.")
    priority = models.IntegerField(default=0, help_text="Higher comes first.")
    order_key = models.BigIntegerField(help_text="Random but fixed by the study's seed, or as added.")
    why = models.JSONField(default=dict, blank=True, help_text="Why it stands where it stands.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "version", "slot"],
                condition=Q(purpose="live") & ~Q(state="closed"),
                name="one_assignment_per_slot",
            ),
            models.UniqueConstraint(
                fields=["version", "rater"],
                condition=Q(purpose="live", rater__isnull=False),
                name="one_live_assignment_per_rater_and_version",
            ),
            models.UniqueConstraint(
                fields=["study", "version", "purpose", "rater"],
                condition=~Q(purpose="live"),
                name="one_other_assignment_per_rater_version_and_purpose",
            ),
            models.UniqueConstraint(
                fields=["study", "rater"],
                condition=Q(state="claimed", purpose__in=["live", "repeat", "gold"]),
                name="one_claim_per_rater_and_study",
            ),
            models.UniqueConstraint(
                fields=["study", "rater"],
                condition=Q(state="held"),
                name="one_soft_hold_per_rater_and_study",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="open", purpose="live", rater__isnull=True)
                    | Q(state="closed")
                    | Q(state__in=["held", "claimed", "submitted"], rater__isnull=False)
                ),
                name="a_taken_slot_names_its_rater",
            ),
        ]
        indexes = [
            models.Index(
                fields=["study", "-priority", "order_key", "id"],
                condition=Q(state="open"),
                name="open_slots_in_order",
            ),
            models.Index(
                fields=["study", "lease_expires"],
                condition=Q(state__in=["held", "claimed"]),
                name="leases_by_their_end",
            ),
            models.Index(fields=["rater", "study", "sequence"], name="slots_of_a_rater"),
            models.Index(fields=["rater", "case"], name="slots_of_a_rater_by_case"),
        ]

    def __str__(self) -> str:
        return f"Slot {self.slot} of {self.version}"

    def successor(self, *, rule: str) -> "Assignment":
        """An open slot for somebody else in the place of this one, not saved yet. ``rule``: why it is there."""
        return Assignment(
            study_id=self.study_id,
            version_id=self.version_id,
            case_id=self.case_id,
            language=self.language,
            slot=self.slot,
            needs_expertise=self.needs_expertise,
            boost=self.boost,
            pushed=self.pushed,
            priority=self.priority,
            order_key=self.order_key,
            why={"rule": rule},
        )


class Skip(models.Model):
    """A rater passed a version on; she is not offered it again."""

    class Reason(models.TextChoices):
        BAD_IMAGE = "bad_image", _("Bad image")
        NOT_SKIN = "not_skin", _("Not skin")
        IDENTIFYING = "identifying", _("Identifying feature")
        OUTSIDE_EXPERTISE = "outside_expertise", _("Outside my expertise")
        OTHER = "other", _("Other")

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="skips")
    version = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="skips")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=20, choices=Reason)
    note = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="When an administrator dealt with it.")
    seen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "rater"], name="one_skip_per_rater_and_version")]

    def __str__(self) -> str:
        return f"{self.rater} skipped {self.version}"


STEP_FIELD = "step-"  # begins the name of a draft's field that holds a corrected step


class RatingDraftQuerySet(models.QuerySet["RatingDraft"]):
    def with_correction(self) -> Self:
        """Those that hold corrected steps; ``without_correction`` are the others."""
        return self._as_text().filter(as_text__contains=f'"{STEP_FIELD}')

    def without_correction(self) -> Self:
        return self._as_text().exclude(as_text__contains=f'"{STEP_FIELD}')

    def _as_text(self) -> Self:
        return self.alias(as_text=Cast("content", models.TextField()))


class RatingDraft(models.Model):
    """What a rater has entered but not submitted, field by field, as her page last sent it.

    It is hers, not the slot's: it outlives her lease, and comes back with any slot of the version.
    """

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="drafts")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    content = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RatingDraftQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["assignment", "rater"], name="one_draft_per_rater_and_slot")]

    def __str__(self) -> str:
        return f"Draft of {self.assignment}"
