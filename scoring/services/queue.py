"""The queue: slots are made up front, so an overlap can be neither missed nor exceeded.

``services.slots`` takes a slot, ``services.releasing`` gives it back, ``services.priorities`` puts them in order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, CalibrationExample, Enrolment, NarrativeVersion, RatingDraft, Skip, Study
from scoring.prepared import Given, Prepared
from scoring.services.audit import record_event
from scoring.services.checks import take_check
from scoring.services.crossing import mark_entries, reserve_row
from scoring.services.flags import FLAGGING_REASONS, raise_flag
from scoring.services.overlaps import planned_overlaps
from scoring.services.priorities import place_of, refresh_priorities
from scoring.services.releasing import release_expired, release_slots
from scoring.services.slots import Seeker, bring_draft, has_left_drafts, take_next, take_own, take_version
from scoring.strata import needed_expertise
from scoring.strategies import STRATEGIES, Place

T = TypeVar("T")
CLAIM_TRIES = 20
SOFT_HOLD = timedelta(minutes=2)
ENROLMENT: Prepared[Enrolment] = Prepared(lambda: Enrolment.objects.filter(study=Given("study"), rater=Given("rater")))
TAKES_NARRATIVES = {Study.State.RUNNING, Study.State.PAUSED}


class NotCalibrated(ValidationError):
    """She has not passed the study's calibration gate yet."""


@transaction.atomic
def enqueue_versions(*, study: Study, versions: Iterable[NarrativeVersion], actor: Any, priority: int = 0) -> int:
    """Make the study's overlap of slots for each version not queued yet; returns how many versions.

    ``priority``: set by people, it comes before any strategy. Raises ``ValidationError`` when the study has
    not started or is closed, and for calibration examples: raters have seen their scores.
    """
    if study.state not in TAKES_NARRATIVES:
        raise ValidationError(
            _("The study is %(state)s. Start it before adding narratives.")
            % {"state": study.get_state_display().lower()}
        )
    asked = [version.pk for version in versions]
    queued = Assignment.objects.filter(study=study, purpose=Assignment.Purpose.LIVE).values("version")
    waiting = NarrativeVersion.objects.filter(pk__in=asked).exclude(pk__in=queued)
    fresh = list(waiting.select_related("narrative__case__source").order_by("pk"))
    if not fresh:
        return 0
    examples = CalibrationExample.objects.filter(rubric=study.rubric_id, version__in=fresh, retired_at__isnull=True)
    if number := examples.count():
        raise ValidationError(
            _("%(number)s of these narratives are calibration examples. Retire them there first.") % {"number": number}
        )
    slots = _new_slots(study, fresh, priority)
    if study.crossed:
        mark_entries(slots)
    Assignment.objects.bulk_create(slots, batch_size=1000)
    if study.strategy not in {Study.Strategy.RANDOM, Study.Strategy.IN_ORDER}:
        refresh_priorities(study=study)
    record_event(
        actor=actor,
        action="study.queued",
        subject=study,
        detail={"versions": len(fresh), "slots": len(slots), "priority": priority},
    )
    return len(fresh)


def _new_slots(study: Study, versions: list[NarrativeVersion], boost: int) -> list[Assignment]:
    strategy = STRATEGIES[study.strategy]
    cases = {version.pk: version.narrative.case for version in versions}
    planned = planned_overlaps(study, cases.values())
    return [
        Assignment(
            study=study,
            version=version,
            case=(case := cases[version.pk]),
            language=version.narrative.language,
            slot=slot,
            boost=boost,
            priority=place_of(boost, Place(0, {}))[0],
            why={"rule": study.strategy} | ({"seed": study.seed} if study.strategy == "random" else {}),
            order_key=strategy.order_key(
                seed=study.seed, version=version.pk, version_id=version.public_id.hex, slot=slot
            ),
            needs_expertise=needed_expertise(study.expertise, case.diagnosis),
        )
        for version in versions
        for slot in range(1, planned[cases[version.pk].pk] + 1)
    ]


def claim_next(*, study: Study, rater: Any) -> Assignment | None:
    """The slot she should work on: the one she has, else what she had begun, else the next; ``None`` without one.

    What ``hold_next`` fetched ahead for her comes first. Raises ``ValidationError`` when the study is not running or
    she may not rate in it, ``NotCalibrated`` before she has passed its gate.
    """
    enrolment = _permitted(study, rater)
    return _attempted(lambda: _take(_seeking(study, enrolment), Assignment.State.CLAIMED))


def hold_next(*, study: Study, rater: Any) -> Assignment | None:
    """The slot that ``claim_next`` will give her after this one, for her page to fetch ahead; ``None`` without one.

    The hold lasts ``SOFT_HOLD`` and is renewed with her lease, so it ends soon after her page does. It keeps
    nobody waiting: who finds nothing else takes it, and she gets another. Raises as ``claim_next`` does.
    """
    enrolment = _permitted(study, rater)
    return _attempted(lambda: _take(_seeking(study, enrolment), Assignment.State.HELD))


def claim_and_hold(*, study: Study, rater: Any) -> tuple[Assignment | None, Assignment | None]:
    """``claim_next`` and then ``hold_next``, in one transaction: what a submission is answered with."""
    enrolment = _permitted(study, rater)

    def both() -> tuple[Assignment | None, Assignment | None]:
        search = _seeking(study, enrolment)
        claimed = _take(search, Assignment.State.CLAIMED)
        if claimed is None:
            return None, None
        is_new = claimed.claimed_at == search.now  # then what she held is what she claimed: there is no other hold
        return claimed, _take(search, Assignment.State.HELD, may_have_one=not is_new)

    return _attempted(both)


def claim_version(*, study: Study, version: NarrativeVersion, rater: Any) -> Assignment:
    """A slot of this very version, in whatever language, for a rater who was asked for it.

    Raises ``ValidationError`` when none of its slots is free for her.
    """
    enrolment = _permitted(study, rater)
    enrolment.languages = [version.narrative.language]
    claimed = _attempted(lambda: _take(_seeking(study, enrolment), Assignment.State.CLAIMED, version=version.pk))
    if claimed is None:
        raise ValidationError(_("No slot of this narrative is free for this rater."))
    return claimed


def _permitted(study: Study, rater: Any) -> Enrolment:
    if not study.is_open:
        raise ValidationError(
            _("The study “%(study)s” is %(state)s.") % {"study": study, "state": study.get_state_display().lower()}
        )
    enrolment = ENROLMENT.first(study=study.pk, rater=rater.pk)
    if enrolment is None or not enrolment.may_rate:
        raise ValidationError(_("Read and accept the study's information sheet first."))
    if study.gate_kappa is not None and enrolment.calibrated_at is None:
        raise NotCalibrated("Learn to rate first: score the calibration examples.")
    return enrolment


def _attempted(take: Callable[[], T]) -> T:
    """A lost race is a broken constraint, and is run again: two pages of hers, or a text that she took elsewhere."""
    for _attempt in range(CLAIM_TRIES):
        try:
            return _at_once(take)
        except IntegrityError:
            continue
    raise ValidationError(_("The queue is very busy. Try again in a moment."))


@transaction.atomic
def _at_once(take: Callable[[], T]) -> T:
    return take()


@dataclass(frozen=True)
class _Search:
    """One look into the queue, at one moment, once what had lapsed is free again."""

    study: Study
    seeker: Seeker
    now: datetime


def _seeking(study: Study, enrolment: Enrolment) -> _Search:
    now, rater = timezone.now(), enrolment.rater_id
    release_expired(study=study, now=now)
    seeker = Seeker(
        study=study.pk,
        rater=rater,
        settings_version=study.settings_version,
        languages=enrolment.languages,
        expertise=enrolment.expertise,
        crossed=study.crossed,
        gap=study.minimum_gap,
        left_drafts=has_left_drafts(study=study.pk, rater=rater),
    )
    return _Search(study, seeker, now)


def _take(search: _Search, state: str, *, version: int | None = None, may_have_one: bool = True) -> Assignment | None:
    study, seeker, now = search.study, search.seeker, search.now
    lease = now + (SOFT_HOLD if state == Assignment.State.HELD else timedelta(minutes=study.lease_minutes))
    if version is not None:
        slot = take_version(seeker, version, now=now, lease=lease)
    else:
        slot = take_own(seeker, state=state, now=now, lease=lease) if may_have_one else None
        if slot is None and (study.gold_percent or study.repeat_percent):
            slot = take_check(study=study, rater=seeker.rater, state=state, now=now, lease=lease)
        if slot is None:
            slot = take_next(seeker, state=state, now=now, lease=lease)
    if slot is None:
        return None
    slot.study = study
    if slot.claimed_at == now:
        if seeker.left_drafts:
            bring_draft(slot=slot.pk, version=slot.version_id, rater=seeker.rater)
        if study.crossed and slot.entry and slot.purpose == Assignment.Purpose.LIVE:
            reserve_row(slot, seeker)
    return slot


@transaction.atomic
def renew_lease(*, assignment: Assignment, rater: Any) -> bool:
    """The heartbeat: extends her lease of this slot, and of what is fetched ahead; ``False`` when it is not hers."""
    now = timezone.now()
    hers = Assignment.objects.filter(study=assignment.study_id, rater=rater)
    long = now + timedelta(minutes=assignment.study.lease_minutes)
    if not hers.filter(pk=assignment.pk, state=Assignment.State.CLAIMED).update(lease_expires=long):
        return False
    hers.filter(state=Assignment.State.HELD).update(lease_expires=now + SOFT_HOLD)
    return True


@transaction.atomic
def skip_assignment(*, assignment: Assignment, rater: Any, reason: str, note: str = "") -> Skip:
    """Give the slot back with a reason; she is not offered this version again, and her draft of it goes.

    A bad image, something that is not skin, or an identifying feature flags the case, which takes it from
    everybody until an administrator resolves the flag; outside her expertise passes it to another rater;
    another reason waits for an administrator too. Raises ``ValidationError`` for an unknown reason, *other*
    without a note, or a slot that she does not hold.
    """
    if reason not in Skip.Reason.values:
        raise ValidationError(_("Choose a reason for skipping."))
    if reason == Skip.Reason.OTHER and not note.strip():
        raise ValidationError(_("Say in a few words why you skip this narrative."))
    taken = Assignment.objects.select_for_update().filter(state=Assignment.State.CLAIMED, rater=rater)
    slot = taken.filter(pk=assignment.pk).first()
    if slot is None:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    skip, _created = Skip.objects.get_or_create(
        version=slot.version, rater=rater, defaults={"study": slot.study, "reason": reason, "note": note.strip()}
    )
    release_slots([slot], study=slot.study)
    RatingDraft.objects.filter(assignment=slot, rater=rater).delete()
    kind = FLAGGING_REASONS.get(Skip.Reason(reason))
    if kind is not None:
        raise_flag(case=slot.case, kind=kind, note=note.strip(), raised_by=rater)
    record_event(actor=rater, action="assignment.skipped", subject=slot, detail={"reason": reason})
    return skip


@transaction.atomic
def acknowledge_skip(*, skip: Skip, actor: Any) -> Skip:
    """An administrator has dealt with a skip for another reason. Raises ``ValidationError`` when one has already."""
    if not Skip.objects.filter(pk=skip.pk, seen_at=None).update(seen_at=timezone.now(), seen_by=actor):
        raise ValidationError(_("This skip has been dealt with already."))
    skip.refresh_from_db()
    record_event(actor=actor, action="skip.dealt_with", subject=skip.version, detail={"reason": skip.reason})
    return skip
