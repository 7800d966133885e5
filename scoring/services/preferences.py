"""Preferences: claiming a pair, keeping what was chosen so far, the vote that is locked once it is given.

A claim is one conditional UPDATE of one slot row that must change one row, as in ``services.queue``.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import (
    CaseFlag,
    Comparison,
    Enrolment,
    Pair,
    PairDraft,
    PairSkip,
    PairSlot,
    Preference,
    PreferenceChoice,
    Skip,
    Study,
)
from scoring.models.preference import OVERALL
from scoring.rubric import DIMENSION_KEYS
from scoring.services.audit import record_event
from scoring.services.draft_order import replaces
from scoring.sides import first_is_left

CLAIM_TRIES = 20
QUESTIONS = (*DIMENSION_KEYS, OVERALL)
COMMENT = "comment"
Choice = PreferenceChoice.Choice
MIRRORED = {Choice.LEFT.value: Choice.RIGHT.value, Choice.RIGHT.value: Choice.LEFT.value}


class PairTaken(Exception):
    """Another rater was faster; look for the next pair."""


def claim_pair(*, study: Study, rater: Any) -> PairSlot | None:
    """The pair this rater should compare: the one she holds, else the next free one, else ``None``.

    Raises ``ValidationError`` when the study is not running or she may not rate in it.
    """
    if not study.is_open:
        raise ValidationError(_("The study “%(study)s” is not running."), params={"study": study})
    enrolment = Enrolment.objects.filter(study=study, rater=rater).first()
    if enrolment is None or not enrolment.may_rate:
        raise ValidationError(_("Read and accept the study’s information sheet first."))
    for _attempt in range(CLAIM_TRIES):
        try:
            return _renew_own(study, rater) or _claim_one(study, rater, enrolment.languages)
        except (IntegrityError, PairTaken):
            continue
    raise ValidationError(_("The queue is very busy. Try again in a moment."))


def renew_pair(*, slot: PairSlot, rater: Any) -> bool:
    """Extend the lease of a pair that she still holds; ``False`` when another has it by now."""
    held = PairSlot.objects.filter(pk=slot.pk, rater=rater, state=PairSlot.State.CLAIMED)
    return held.update(lease_expires=_lease_end(slot.study)) == 1


@transaction.atomic
def save_pair_draft(*, slot: PairSlot, rater: Any, content: dict[str, Any], base: int) -> PairDraft:
    """Keep what she entered so far, sides as she sees them; ``content`` and ``base`` as in ``draft_order.replaces``.

    Raises ``DraftConflict``, with the sides as she sees them too, and ``ValidationError`` when she does not hold
    the pair any more or a choice is unknown.
    """
    locked = _lock_held(slot, rater)
    _check({name: value for name, value in content["fields"].items() if name != COMMENT})
    draft = PairDraft.objects.filter(pair=locked.pair, rater=rater).first()
    kept = _between(content, locked)
    if draft is None:
        return PairDraft.objects.create(pair=locked.pair, rater=rater, content=kept, revision=base + 1)
    if replaces(content, base, kept=_between(draft.content, locked), revision=draft.revision):
        draft.content, draft.revision = kept, draft.revision + 1
        draft.save(update_fields=["content", "revision", "updated_at"])
    return draft


def drafted(*, slot: PairSlot, rater: Any) -> tuple[dict[str, Any], int]:
    """What she has entered so far, on the sides of this slot, and the draft's revision (0 without one)."""
    draft = PairDraft.objects.filter(pair=slot.pair_id, rater=rater).first()
    return ({}, 0) if draft is None else (_between(draft.content, slot), draft.revision)


@transaction.atomic
def vote(
    *,
    slot: PairSlot,
    rater: Any,
    client_uuid: uuid.UUID,
    choices: Mapping[str, str],
    comment: str = "",
    active_seconds: int | None = None,
) -> Preference:
    """Her choice on the six dimensions and overall, locked from now on.

    Sent twice with the same ``client_uuid`` it returns the first vote. Raises ``ValidationError``
    (keyed by dimension where one is at fault) for a missing or unknown choice, a pair that is no longer
    hers, or one that she has voted on.
    """
    PairSlot.objects.select_for_update().values_list("pk").get(pk=slot.pk)  # a second click waits for the first
    repeated = Preference.objects.filter(client_uuid=client_uuid).first()
    if repeated is not None:
        if repeated.rater_id != rater.pk or repeated.slot_id != slot.pk:
            raise ValidationError(_("This vote belongs to another pair. Reload the page."))
        return repeated
    missing = {key: [_("Choose left, right, tie or both bad.")] for key in QUESTIONS if not choices.get(key)}
    if missing:
        raise ValidationError(missing)
    _check(choices)
    locked = _lock_held(slot, rater)
    preference = Preference.objects.create(
        study=locked.study,
        case=locked.pair.case,
        left=locked.left,
        right=locked.right,
        rater=rater,
        origin=Preference.Origin.BLIND,
        slot=locked,
        client_uuid=client_uuid,
        comment=comment,
        active_seconds=active_seconds,
    )
    PreferenceChoice.objects.bulk_create(
        PreferenceChoice(preference=preference, dimension=key, choice=choices[key]) for key in QUESTIONS
    )
    PairSlot.objects.filter(pk=locked.pk).update(
        state=PairSlot.State.SUBMITTED, submitted_at=timezone.now(), lease_expires=None
    )
    PairDraft.objects.filter(pair=locked.pair_id, rater=rater).delete()
    record_event(actor=rater, action="preference.given", subject=preference)
    return preference


@transaction.atomic
def skip_pair(*, slot: PairSlot, rater: Any, reason: str, note: str = "") -> PairSkip:
    """Give the pair back with a reason; she is not offered it again, and a bad image flags the case.

    Raises ``ValidationError`` for an unknown reason, *other* without a note, or a pair she does not hold.
    """
    if reason not in Skip.Reason.values:
        raise ValidationError(_("Choose a reason for skipping."))
    if reason == Skip.Reason.OTHER and not note.strip():
        raise ValidationError(_("Say in a few words why you skip it."))
    locked = _lock_held(slot, rater)
    PairSlot.objects.filter(pk=locked.pk).update(
        state=PairSlot.State.OPEN, rater=None, first_is_left=None, claimed_at=None, lease_expires=None
    )
    PairDraft.objects.filter(pair=locked.pair_id, rater=rater).delete()
    skip = PairSkip.objects.create(pair=locked.pair, rater=rater, reason=reason, note=note.strip())
    if reason in CaseFlag.PULLS:
        CaseFlag.objects.create(case=locked.pair.case, kind=reason, note=note.strip(), raised_by=rater)
    record_event(actor=rater, action="pair.skipped", subject=locked.pair, detail={"reason": reason})
    return skip


def arms_shown(preference: Preference) -> tuple[str, str] | None:
    """The labels of the left and the right arm where the administrator lets raters see them, else ``None``."""
    slot = preference.slot
    if slot is None:
        return None
    comparison, study = slot.pair.comparison, slot.study
    closed = comparison.reveal == Comparison.Reveal.WHEN_CLOSED and study.state == Study.State.CLOSED
    if not closed and comparison.reveal != Comparison.Reveal.AFTER_VOTE:
        return None
    arms = (comparison.first_arm, comparison.second_arm)
    return arms if slot.first_is_left else (arms[1], arms[0])


def _renew_own(study: Study, rater: Any) -> PairSlot | None:
    """What she has claimed and nobody took over, its lease running anew; a pair taken out of the study is let go."""
    mine = PairSlot.objects.filter(study=study, rater=rater, state=PairSlot.State.CLAIMED)
    held = mine.filter(pair__state=Pair.State.OPEN).first()
    if held is not None and mine.filter(pk=held.pk).update(lease_expires=_lease_end(study)) == 1:
        return held
    mine.exclude(pair__state=Pair.State.OPEN).update(
        state=PairSlot.State.OPEN, rater=None, first_is_left=None, claimed_at=None, lease_expires=None
    )
    return None


@transaction.atomic
def _claim_one(study: Study, rater: Any, languages: list[str]) -> PairSlot | None:
    now = timezone.now()
    free = PairSlot.objects.claimable(now).filter(study=study).for_rater(rater.pk, languages)
    free = free.select_related("pair__comparison").order_by("order_key", "pk")
    if connection.features.has_select_for_update_skip_locked:
        free = free.select_for_update(skip_locked=True, of=("self",))
    candidate = free.first()
    if candidate is None:
        return None
    comparison = candidate.pair.comparison
    votes = Preference.objects.filter(rater=rater, slot__pair__comparison=comparison).count()
    changed = (
        PairSlot.objects.filter(pk=candidate.pk)
        .claimable(now)
        .update(
            state=PairSlot.State.CLAIMED,
            rater=rater,
            first_is_left=first_is_left(
                seed=study.seed, comparison=str(comparison.public_id), rater=str(rater.public_id), vote=votes
            ),
            claimed_at=now,
            lease_expires=_lease_end(study),
        )
    )
    if changed != 1:
        raise PairTaken
    if candidate.rater_id is not None:
        record_event(actor=None, action="pair.reclaimed", subject=candidate.pair, detail={"from": candidate.rater_id})
    candidate.refresh_from_db()
    return candidate


def _lock_held(slot: PairSlot, rater: Any) -> PairSlot:
    locked = (
        PairSlot.objects.select_for_update(of=("self",))
        .select_related("study", "pair__case", "pair__first", "pair__second")
        .get(pk=slot.pk)
    )
    if locked.rater_id != rater.pk or locked.state == PairSlot.State.OPEN:
        raise ValidationError(_("This pair is no longer assigned to you. Take the next one."))
    if locked.state == PairSlot.State.SUBMITTED:
        raise ValidationError(_("You have voted on this pair, and a vote is locked."))
    if locked.pair.state != Pair.State.OPEN:
        raise ValidationError(_("This pair was taken out of the study. Take the next one."))
    return locked


def _lease_end(study: Study) -> Any:
    return timezone.now() + timedelta(minutes=study.lease_minutes)


def _check(choices: Mapping[str, str]) -> None:
    unknown = {key: [_("Choose left, right, tie or both bad.")] for key, c in choices.items() if c not in Choice.values}
    strange = sorted(set(choices) - set(QUESTIONS))
    if strange:
        raise ValidationError(_("Unknown dimension: %(names)s."), params={"names": ", ".join(strange)})
    if unknown:
        raise ValidationError(unknown)


def _between(content: Mapping[str, Any], slot: PairSlot) -> dict[str, Any]:
    """A draft's choices between sides and arms, the first arm as *left*; the same step leads back."""
    if slot.first_is_left:
        return dict(content)
    fields = content["fields"].items()
    mirrored = {name: value if name == COMMENT else MIRRORED.get(value, value) for name, value in fields}
    return {**content, "fields": mirrored}
