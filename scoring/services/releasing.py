"""Slots that go back: lapsed leases, skips, withdrawals, flags and administrators who reclaim them.

A live slot opens again; a silent repeat or gold, and a rater's look at her own revision, is closed. Drafts stay:
whoever comes back to the text finds what she had entered.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from scoring.models import Assignment, Study
from scoring.services.audit import record_event
from scoring.services.crossing import free_reservations, free_rows
from scoring.services.slots import expired_slots


def release_expired(*, study: Study, now: datetime) -> int:
    """Open the slots whose lease has run out; returns how many. One cheap query where there are none.

    Belongs inside a transaction.
    """
    keys = expired_slots(study=study.pk, now=now)
    if not keys:
        return 0
    lapsed = list(Assignment.objects.filter(pk__in=keys))
    release_slots(lapsed, study=study)
    for slot in lapsed:
        if slot.state == Assignment.State.CLAIMED:
            record_event(actor=None, action="assignment.lapsed", subject=slot, detail={"rater": slot.rater_id})
    return len(lapsed)


def release_slots(slots: Iterable[Assignment], *, study: Study) -> None:
    """Give back slots that are held or claimed, as read; those that moved on since are left alone."""
    live = [slot for slot in slots if slot.purpose == Assignment.Purpose.LIVE]
    others = [slot.pk for slot in slots if slot.purpose != Assignment.Purpose.LIVE]
    taken = Assignment.objects.filter(state__in=Assignment.LEASED)
    if live:
        taken.filter(pk__in=[slot.pk for slot in live]).update(
            state=Assignment.State.OPEN, rater=None, sequence=None, claimed_at=None, lease_expires=None
        )
        if study.crossed:
            free_rows(live)
    if others:
        taken.filter(pk__in=others).update(state=Assignment.State.CLOSED, lease_expires=None)


def release_rater(*, study: Study, rater: Any) -> int:
    """Give back all that she has taken or that waits for her in the study; returns how many slots."""
    taken = Assignment.objects.select_for_update().filter(study=study, rater=rater, state__in=Assignment.LEASED)
    slots = list(taken.order_by("pk"))
    release_slots(slots, study=study)
    return len(slots) + (free_reservations(study=study.pk, rater=rater.pk) if study.crossed else 0)


@transaction.atomic
def reclaim_slots(*, study: Study, rater: Any, actor: Any) -> int:
    """An administrator takes a rater's slots back for others; she keeps her drafts. Returns how many slots."""
    count = release_rater(study=study, rater=rater)
    record_event(
        actor=actor, action="study.reclaimed", subject=study, detail={"rater": str(rater.public_id), "slots": count}
    )
    return count
