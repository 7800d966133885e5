"""Draft studies: everything of the protocol may still be changed."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Study
from scoring.services.audit import record_event
from scoring.services.studies import apply_settings


@transaction.atomic
def update_draft(
    *, study: Study, actor: Any, changes: Mapping[str, Any], thresholds: Mapping[str, float] | None = None
) -> Study:
    """Change a study that has not started: parts of its protocol, thresholds of its policy.

    Raises ``ValidationError`` once the study has started, and for values that do not fit.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if locked.state != Study.State.DRAFT:
        raise ValidationError(_("The study has started. Amend it instead."))
    apply_settings(study=locked, changes=changes, thresholds=thresholds or {})
    record_event(actor=actor, action="study.edited", subject=locked, detail={"fields": sorted(changes)})
    return locked
