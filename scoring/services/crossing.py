"""Crossed studies: the same rater sees every text of a case.

Slot *k* of all texts of a case belongs to one rater. Each such row of slots has one *entry*, drawn by the
study's seed; whoever takes it gets the others reserved. So two raters can never start the same row from two
ends, and no lock spans several rows.
"""

from collections.abc import Iterable, Sequence

from django.db.models import Q

from scoring.models import Assignment, Enrolment
from scoring.models.assignment import AssignmentQuerySet
from scoring.services.slots import Seeker

LIVE = Assignment.Purpose.LIVE


def mark_entries(fresh: Sequence[Assignment]) -> None:
    """Before new slots of a crossed study are stored: choose entries, or reserve where the row has begun."""
    study = fresh[0].study_id
    known = Assignment.objects.filter(study=study, case__in={slot.case_id for slot in fresh}, purpose=LIVE, entry=True)
    entries: dict[tuple[int, int], Assignment] = {}
    for slot in known.exclude(state=Assignment.State.CLOSED).order_by("pk"):
        entries.setdefault((slot.case_id, slot.slot), slot)
    read = dict(Enrolment.objects.filter(study=study).values_list("rater", "languages"))
    for slot in sorted(fresh, key=lambda one: one.order_key):
        first = entries.setdefault((slot.case_id, slot.slot), slot)
        reads_it = slot.language in read.get(first.rater_id, ())  # type: ignore[arg-type]
        slot.entry = first is slot or (first.rater_id is not None and not reads_it)
        slot.reserved_for_id = None if slot.entry else first.rater_id


def reserve_row(slot: Assignment, seeker: Seeker) -> None:
    """She took the entry: the same slot of the case's other texts is hers, but for texts that she may not have."""
    others = _row(slot).filter(language__in=seeker.languages, needs_expertise__in=["", *seeker.expertise])
    hers = Q(version__narrative__versions__author=slot.rater_id)
    others.exclude(hers).exclude(version__skips__rater=slot.rater_id).update(reserved_for=slot.rater_id)


def free_rows(released: Iterable[Assignment]) -> None:
    """Slots that went back: an entry frees its row; a slot within a row that was begun can be had by itself."""
    for slot in released:
        if slot.entry:
            _row(slot).update(reserved_for=None)
        else:
            Assignment.objects.filter(pk=slot.pk).update(entry=True, reserved_for=None)


def free_reservations(*, study: int, rater: int) -> int:
    """She will not come back: what was reserved for her can be had one by one; returns how many."""
    reserved = Assignment.objects.filter(study=study, reserved_for=rater, state=Assignment.State.OPEN)
    return reserved.update(reserved_for=None, entry=True)


def _row(slot: Assignment) -> AssignmentQuerySet:
    rows = Assignment.objects.filter(study=slot.study_id, case=slot.case_id, slot=slot.slot, purpose=LIVE)
    return rows.filter(state=Assignment.State.OPEN, entry=False).exclude(pk=slot.pk)
