"""Flags: a rater's warning takes a case from everybody until an administrator has dealt with it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, Case, CaseFlag, Skip, Study
from scoring.services.audit import record_event
from scoring.services.releasing import release_slots

FLAGGING_REASONS = {
    Skip.Reason.BAD_IMAGE: CaseFlag.Kind.BAD_IMAGE,
    Skip.Reason.NOT_SKIN: CaseFlag.Kind.NOT_SKIN,
    Skip.Reason.IDENTIFYING: CaseFlag.Kind.IDENTIFYING,
}


@transaction.atomic
def raise_flag(*, case: Case, kind: str, raised_by: Any, note: str = "") -> CaseFlag:
    """Flag a case; one of the kinds that pull takes it out of all queues at once, out of open pages too."""
    flag = CaseFlag.objects.create(case=case, kind=kind, note=note, raised_by=raised_by)
    pulled = 0
    if kind in CaseFlag.PULLS:
        leased = Assignment.objects.select_for_update().filter(case=case, state__in=Assignment.LEASED)
        slots = list(leased.order_by("pk"))
        pulled = len(slots)
        for study in Study.objects.filter(pk__in={slot.study_id for slot in slots}):
            release_slots([slot for slot in slots if slot.study_id == study.pk], study=study)
    record_event(actor=raised_by, action="case.flagged", subject=case, detail={"kind": kind, "pulled": pulled})
    return flag


@transaction.atomic
def resolve_flag(*, flag: CaseFlag, actor: Any, resolution: str) -> CaseFlag:
    """Close a flag with what was done about it; without another open one the case is rated again.

    Raises ``ValidationError`` without words, or when the flag is closed already.
    """
    if not resolution.strip():
        raise ValidationError(_("Say what was done about the flag."))
    closed = CaseFlag.objects.filter(pk=flag.pk, resolved_at__isnull=True).update(
        resolved_at=timezone.now(), resolved_by=actor, resolution=resolution.strip()
    )
    if not closed:
        raise ValidationError(_("This flag is closed already."))
    flag.refresh_from_db()
    record_event(
        actor=actor,
        action="case.flag_resolved",
        subject=flag.case,
        detail={"kind": flag.kind, "resolution": resolution},
    )
    return flag
