"""Draft studies: everything of the protocol may still be changed."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from scoring.models import Study
from scoring.services.audit import record_event
from scoring.services.studies import policy_version
from scoring.verdict import Policy

EDITABLE = frozenset(
    {
        "title",
        "question",
        "arms",
        "inclusion",
        "exclusion_rules",
        "planned_analysis",
        "ethics",
        "overlap",
        "reveal",
        "strategy",
        "seed",
        "lease_minutes",
    }
)


@transaction.atomic
def update_draft(*, study: Study, actor: Any, changes: dict[str, Any]) -> Study:
    """Change a study that has not started; a new overlap brings the policy for it.

    Raises ``ValidationError`` once the study has started, and for values that do not fit.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if locked.state != Study.State.DRAFT:
        raise ValidationError("The study has started. Amend it instead.")
    unknown = sorted(set(changes) - EDITABLE)
    if unknown:
        raise ValidationError(f"A draft has no {', '.join(unknown)} to change.")
    for name, value in changes.items():
        setattr(locked, name, value)
    try:
        locked.policy = policy_version(Policy(**locked.policy.settings | {"overlap": locked.overlap}))
    except ValueError as error:
        raise ValidationError({"overlap": str(error)}) from error
    locked.full_clean()
    locked.save()
    record_event(actor=actor, action="study.edited", subject=locked, detail={"fields": sorted(changes)})
    return locked
