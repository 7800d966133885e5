"""The queue: slots are made up front, so an overlap can be neither missed nor exceeded.

A claim is one conditional UPDATE of one slot row that must change one row; the table's unique
constraints stand behind it. On PostgreSQL the candidate is locked with SKIP LOCKED as well.
"""

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from scoring.models import Assignment, CaseFlag, Enrolment, NarrativeVersion, RatingDraft, Skip, Study
from scoring.models.assignment import AssignmentQuerySet
from scoring.services.audit import record_event

CLAIM_TRIES = 20
FLAGGING_REASONS = {
    Skip.Reason.BAD_IMAGE: CaseFlag.Kind.BAD_IMAGE,
    Skip.Reason.NOT_SKIN: CaseFlag.Kind.NOT_SKIN,
    Skip.Reason.IDENTIFYING: CaseFlag.Kind.IDENTIFYING,
}


class SlotTaken(Exception):
    """Another rater was faster; look for the next slot."""


@transaction.atomic
def enqueue_versions(*, study: Study, versions: Iterable[NarrativeVersion], actor: Any, priority: int = 0) -> int:
    """Make the study's overlap of slots for each version not queued yet; returns how many versions.

    Raises ``ValidationError`` when the study has not started or is closed.
    """
    if study.state not in {Study.State.RUNNING, Study.State.PAUSED}:
        raise ValidationError(f"The study is {study.get_state_display().lower()}. Start it before adding narratives.")
    chosen = list(versions)
    queued = set(Assignment.objects.filter(study=study, version__in=chosen).values_list("version", flat=True))
    fresh = [version for version in chosen if version.pk not in queued]
    Assignment.objects.bulk_create(
        Assignment(
            study=study,
            version=version,
            slot=slot,
            priority=priority,
            order_key=order_key(study, version, slot),
        )
        for version in fresh
        for slot in range(1, study.overlap + 1)
    )
    if fresh:
        record_event(
            actor=actor,
            action="study.queued",
            subject=study,
            detail={"versions": len(fresh), "overlap": study.overlap, "priority": priority},
        )
    return len(fresh)


def order_key(study: Study, version: NarrativeVersion, slot: int) -> int:
    """The place of a slot in the study's order: random but fixed by its seed, or as added."""
    if study.strategy == Study.Strategy.IN_ORDER:
        return version.pk
    return random.Random(f"{study.seed}:{version.public_id}:{slot}").getrandbits(62)


def claim_next(*, study: Study, rater: Any) -> Assignment | None:
    """The slot this rater should work on: the one she holds, else the next free one, else ``None``.

    Raises ``ValidationError`` when the study is not running or she may not rate in it.
    """
    if not study.is_open:
        raise ValidationError(f"The study “{study}” is {study.get_state_display().lower()}.")
    enrolment = Enrolment.objects.filter(study=study, rater=rater).first()
    if enrolment is None or not enrolment.may_rate:
        raise ValidationError("Read and accept the study's information sheet first.")
    for _ in range(CLAIM_TRIES):
        held = _held(study, rater)
        if held is not None:
            return held
        try:
            return _claim_one(study, rater, enrolment.languages)
        except (IntegrityError, SlotTaken):
            continue
    raise ValidationError("The queue is very busy. Try again in a moment.")


def _held(study: Study, rater: Any) -> Assignment | None:
    now = timezone.now()
    mine = Assignment.objects.filter(study=study, rater=rater, state=Assignment.State.CLAIMED, lease_expires__gte=now)
    held = mine.order_by("claimed_at", "pk").first()
    if held is not None:
        mine.filter(pk=held.pk).update(lease_expires=now + timedelta(minutes=study.lease_minutes))
    return held


@transaction.atomic
def claim_version(*, study: Study, version: NarrativeVersion, rater: Any) -> Assignment:
    """A slot of this very version, for a rater who was asked for it.

    Raises ``ValidationError`` when none of its slots is free for her.
    """
    claimed = _take(_free_slots(study, rater).filter(version=version), study, rater)
    if claimed is None:
        raise ValidationError("No slot of this narrative is free for this rater.")
    return claimed


@transaction.atomic
def _claim_one(study: Study, rater: Any, languages: list[str]) -> Assignment | None:
    """The claimed slot, or ``None`` when nothing is left for her. Raises ``SlotTaken``."""
    return _take(_free_slots(study, rater).filter(version__narrative__language__in=languages), study, rater)


def _free_slots(study: Study, rater: Any) -> AssignmentQuerySet:
    live = Assignment.objects.claimable(timezone.now()).filter(study=study, purpose=Assignment.Purpose.LIVE)
    return live.for_rater(rater.pk).order_by("-priority", "order_key", "pk")


def _take(free: AssignmentQuerySet, study: Study, rater: Any) -> Assignment | None:
    now = timezone.now()
    if connection.features.has_select_for_update_skip_locked:
        free = free.select_for_update(skip_locked=True, of=("self",))
    candidate = free.first()
    if candidate is None:
        return None
    changed = (
        Assignment.objects.filter(pk=candidate.pk)
        .claimable(now)
        .update(
            state=Assignment.State.CLAIMED,
            rater=rater,
            claimed_at=now,
            lease_expires=now + timedelta(minutes=study.lease_minutes),
        )
    )
    if changed != 1:
        raise SlotTaken
    if candidate.rater_id not in {None, rater.pk}:
        RatingDraft.objects.filter(assignment=candidate).delete()
        record_event(actor=None, action="assignment.reclaimed", subject=candidate, detail={"from": candidate.rater_id})
    candidate.refresh_from_db()
    return candidate


def renew_lease(*, assignment: Assignment, rater: Any) -> bool:
    """Extend the lease of a slot that she still holds; ``False`` when another has it by now."""
    expires = timezone.now() + timedelta(minutes=assignment.study.lease_minutes)
    held = Assignment.objects.filter(pk=assignment.pk, rater=rater, state=Assignment.State.CLAIMED)
    return held.update(lease_expires=expires) == 1


@transaction.atomic
def skip_assignment(*, assignment: Assignment, rater: Any, reason: str, note: str = "") -> Skip:
    """Give the slot back with a reason; she is not offered this version again.

    A bad image, something that is not skin, or an identifying feature flags the case, which takes
    it out of the queue until an administrator resolves the flag. Raises ``ValidationError`` for an
    unknown reason, *other* without a note, or a slot that she does not hold.
    """
    if reason not in Skip.Reason.values:
        raise ValidationError("Choose a reason for skipping.")
    if reason == Skip.Reason.OTHER and not note.strip():
        raise ValidationError("Say in a few words why you skip this narrative.")
    released = Assignment.objects.filter(pk=assignment.pk, rater=rater, state=Assignment.State.CLAIMED).update(
        state=Assignment.State.OPEN, rater=None, claimed_at=None, lease_expires=None
    )
    if released != 1:
        raise ValidationError("This narrative is no longer assigned to you. Take the next one.")
    RatingDraft.objects.filter(assignment=assignment).delete()
    skip = Skip.objects.create(
        study=assignment.study, version=assignment.version, rater=rater, reason=reason, note=note
    )
    flag = FLAGGING_REASONS.get(Skip.Reason(reason))
    if flag is not None:
        CaseFlag.objects.create(case=assignment.version.narrative.case, kind=flag, note=note, raised_by=rater)
    record_event(actor=rater, action="assignment.skipped", subject=assignment, detail={"reason": reason})
    return skip
