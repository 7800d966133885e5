"""Pairs: which two versions raters compare blind, the slots they do it in, and the words that would give one away."""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from scoring.models.case import Case, CaseFlag
from scoring.models.fields import PublicIdModel
from scoring.models.narrative import NarrativeVersion
from scoring.models.study import Study


class IdentityWord(models.Model):
    """A word that tells who or what wrote a text of this study; pushed down as a plain string."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="identity_words")
    word = models.CharField(max_length=120)

    class Meta:
        ordering = ["word"]
        constraints = [models.UniqueConstraint(fields=["study", "word"], name="one_row_per_word_and_study")]

    def __str__(self) -> str:
        return self.word


class Comparison(PublicIdModel):
    """Two arms of a study set against each other. The arms are plain labels; raters see them only if revealed."""

    class Reveal(models.TextChoices):
        NEVER = "never", _("Never")
        WHEN_CLOSED = "when_closed", _("When the study is closed")
        AFTER_VOTE = "after_vote", _("After each vote")

    class OnIdentity(models.TextChoices):
        SCRUB = "scrub", _("Replace the words by a placeholder")
        FLAG = "flag", _("Hold the pair back until I have looked at it")

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="comparisons")
    first_arm = models.CharField(_("first arm"), max_length=120)
    second_arm = models.CharField(_("second arm"), max_length=120)
    overlap = models.PositiveSmallIntegerField(_("votes per pair"), default=1)
    reveal = models.CharField(_("raters learn which was which"), max_length=12, choices=Reveal, default=Reveal.NEVER)
    on_identity = models.CharField(
        _("when a text names its author"), max_length=8, choices=OnIdentity, default=OnIdentity.SCRUB
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["study", "first_arm", "second_arm"], name="one_comparison_per_two_arms"),
            models.CheckConstraint(condition=~Q(first_arm=F("second_arm")), name="arms_have_different_labels"),
            models.CheckConstraint(condition=Q(overlap__gte=1), name="a_comparison_needs_an_overlap"),
        ]

    def __str__(self) -> str:
        return f"{self.first_arm} – {self.second_arm}"


class Pair(PublicIdModel):
    """Two versions about one case, ``first`` of the first arm. ``hits``: identity words found, by side."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        FLAGGED = "flagged", _("Held back")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="pairs")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="pairs")
    first = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(NarrativeVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    hits = models.JSONField(default=dict, blank=True)
    cleared = models.BooleanField(default=False, help_text="An administrator let it pass in spite of the words.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "first", "second"], name="one_pair_per_two_versions"),
            models.CheckConstraint(condition=~Q(first=F("second")), name="a_pair_has_two_versions"),
        ]
        indexes = [models.Index(fields=["comparison", "state"], name="pairs_by_state")]

    def __str__(self) -> str:
        return f"Pair {str(self.public_id)[:8]}"


class PairSlotQuerySet(models.QuerySet["PairSlot"]):
    def claimable(self, now: datetime) -> Self:
        """Open slots, and claimed ones whose lease ran out, of open pairs about cases without an open flag."""
        flagged = CaseFlag.objects.filter(
            case=OuterRef("pair__case"), kind__in=CaseFlag.PULLS, resolved_at__isnull=True
        )
        return self.filter(
            Q(state=PairSlot.State.OPEN) | Q(state=PairSlot.State.CLAIMED, lease_expires__lt=now),
            pair__state=Pair.State.OPEN,
        ).filter(~Exists(flagged))

    def for_rater(self, rater_id: int, languages: list[str]) -> Self:
        """Slots that she may take: both texts readable, neither her own, the pair neither hers already nor skipped."""
        hers = PairSlot.objects.filter(pair=OuterRef("pair"), rater=rater_id).exclude(pk=OuterRef("pk"))
        skipped = PairSkip.objects.filter(pair=OuterRef("pair"), rater=rater_id)
        return (
            self.filter(pair__first__narrative__language__in=languages, pair__second__narrative__language__in=languages)
            .exclude(pair__first__author=rater_id)
            .exclude(pair__second__author=rater_id)
            .filter(~Exists(hers), ~Exists(skipped))
        )


class PairSlot(PublicIdModel):
    """One slot: this pair needs one vote. ``first_is_left`` is drawn when it is claimed."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        CLAIMED = "claimed", _("Claimed")
        SUBMITTED = "submitted", _("Submitted")

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="pair_slots")
    pair = models.ForeignKey(Pair, on_delete=models.PROTECT, related_name="slots")
    slot = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    rater = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="pair_slots"
    )
    first_is_left = models.BooleanField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_expires = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    order_key = models.BigIntegerField(help_text="Random; fixed by the study's seed.")

    objects = PairSlotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pair", "slot"], name="one_row_per_pair_and_slot"),
            models.UniqueConstraint(
                fields=["pair", "rater"], condition=Q(rater__isnull=False), name="one_slot_per_rater_and_pair"
            ),
            models.UniqueConstraint(
                fields=["study", "rater"], condition=Q(state="claimed"), name="one_claimed_pair_per_rater_and_study"
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="open", rater__isnull=True, first_is_left__isnull=True)
                    | Q(state__in=["claimed", "submitted"], rater__isnull=False, first_is_left__isnull=False)
                ),
                name="a_taken_pair_names_its_rater_and_sides",
            ),
        ]
        indexes = [
            models.Index(fields=["study", "order_key"], condition=Q(state="open"), name="open_pair_slots_in_order"),
            models.Index(fields=["rater", "state"], name="pair_slots_of_a_rater"),
        ]

    def __str__(self) -> str:
        return f"Slot {self.slot} of {self.pair}"

    @property
    def left(self) -> NarrativeVersion:
        return self.pair.first if self.first_is_left else self.pair.second

    @property
    def right(self) -> NarrativeVersion:
        return self.pair.second if self.first_is_left else self.pair.first


class PairSkip(models.Model):
    """A rater passed a pair on; she is not offered it again."""

    pair = models.ForeignKey(Pair, on_delete=models.PROTECT, related_name="skips")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=20)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "rater"], name="one_skip_per_rater_and_pair")]

    def __str__(self) -> str:
        return f"{self.rater} skipped {self.pair}"


class PairDraft(models.Model):
    """What she has chosen and not sent; hers, so it outlives her lease."""

    pair = models.ForeignKey(Pair, on_delete=models.CASCADE, related_name="drafts")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    content: Any = models.JSONField(
        default=dict, help_text="As in RatingDraft; choices between the arms, not the sides."
    )
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "rater"], name="one_draft_per_rater_and_pair")]

    def __str__(self) -> str:
        return f"Draft of {self.pair}"
