"""Amendments: changes of a started study, with their reason, in force at once and without stopping raters."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from scoring import protocol
from scoring.digest import content_hash
from scoring.models import Amendment, Study
from scoring.services.audit import record_event
from scoring.services.calibration import check_gate
from scoring.services.overlaps import fit_slots
from scoring.services.policies import recertify_study
from scoring.services.priorities import refresh_priorities, reorder_slots
from scoring.services.studies import apply_settings

REORDERS = {"strategy", "expertise"}
RESIZES = {"overlap_high", "overlap_percent", "overlap_by"}


@transaction.atomic
def amend_study(
    *,
    study: Study,
    actor: Any,
    reason: str,
    changes: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
) -> Amendment:
    """Change a started study, keeping the protocol before and after with the reason.

    The open slots follow at once; a narrative that a rater has before her stays hers, under the version of the
    settings that its slot names. Raises ``ValidationError`` for a study that is not under way, without a reason,
    for parts that are fixed, and where nothing changes.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if locked.state in {Study.State.DRAFT, Study.State.CLOSED}:
        raise ValidationError(_("Only a started study that is not closed can be amended."))
    if not reason.strip():
        raise ValidationError({"reason": _("Give the reason for the amendment.")})
    refused = sorted(set(changes) - set(protocol.AMENDABLE))
    if refused:
        raise ValidationError(
            _("Fixed once a study has started: %(names)s. Make a new study instead.") % {"names": ", ".join(refused)}
        )
    before = locked.protocol()
    locked.settings_version += 1
    apply_settings(study=locked, changes=changes, thresholds=thresholds or {})
    after = locked.protocol()
    changed = {name for name in after if before[name] != after[name]}
    if not changed:
        raise ValidationError(_("The amendment changes nothing."))
    if "gate_kappa" in changed or "gold_percent" in changed:
        check_gate(locked)
    locked.protocol_hash = content_hash(after)
    locked.save(update_fields=["protocol_hash"])
    number = (locked.amendments.aggregate(last=Max("number"))["last"] or 0) + 1
    amendment = Amendment.objects.create(
        study=locked,
        number=number,
        reason=reason.strip(),
        before=before,
        after=after,
        protocol_hash=locked.protocol_hash,
        created_by=actor,
    )
    record_event(actor=actor, action="study.amended", subject=locked, detail={"number": number})
    _follow(locked, changed)
    return amendment


def _follow(study: Study, changed: set[str]) -> None:
    if "policy" in changed:
        recertify_study(study=study)
    if changed & RESIZES:
        fit_slots(study)
    if changed & REORDERS:
        reorder_slots(study=study)
    if changed & (REORDERS | RESIZES | {"quotas"}):
        refresh_priorities(study=study)
