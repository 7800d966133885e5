"""Flags: a rater's warning takes a case out of the queue until an administrator has dealt with it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from scoring.models import CaseFlag
from scoring.services.audit import record_event


@transaction.atomic
def resolve_flag(*, flag: CaseFlag, actor: Any, resolution: str) -> CaseFlag:
    """Close a flag with what was done about it; without another open one the case is rated again.

    Raises ``ValidationError`` without words, or when the flag is closed already.
    """
    if not resolution.strip():
        raise ValidationError("Say what was done about the flag.")
    closed = CaseFlag.objects.filter(pk=flag.pk, resolved_at__isnull=True).update(
        resolved_at=timezone.now(), resolved_by=actor, resolution=resolution.strip()
    )
    if not closed:
        raise ValidationError("This flag is closed already.")
    flag.refresh_from_db()
    record_event(
        actor=actor,
        action="case.flag_resolved",
        subject=flag.case,
        detail={"kind": flag.kind, "resolution": resolution},
    )
    return flag
