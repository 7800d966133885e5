"""A rater's own diagnosis before she sees a text: against anchoring on what it says."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Assignment, Dispute, OwnDiagnosis
from scoring.services.audit import record_event
from scoring.services.disputes import LONGEST_DIAGNOSIS
from scoring.services.reveals import knows_reference


def asks_diagnosis(assignment: Assignment, rater: Any) -> bool:
    """Whether the study keeps this text from her until she has said what she holds the case to be."""
    if not assignment.study.own_diagnosis_first or assignment.purpose not in Assignment.QUEUED:
        return False
    if assignment.state == Assignment.State.SUBMITTED:
        return False
    hers = OwnDiagnosis.objects.filter(study=assignment.study_id, case=assignment.case_id, rater=rater)
    return not hers.exists()


@transaction.atomic
def state_diagnosis(*, assignment: Assignment, rater: Any, diagnosis: str, confidence: str) -> OwnDiagnosis:
    """Keep her own diagnosis of the case; the first one stands, whatever is sent later.

    Raises ``ValidationError``, keyed by field where one is at fault, and for a slot that is not hers.
    """
    own = " ".join(diagnosis.split())
    problems = {}
    if not own or len(own) > LONGEST_DIAGNOSIS:
        limit = {"limit": LONGEST_DIAGNOSIS}
        problems["diagnosis"] = _("Give your own diagnosis, in at most %(limit)s characters.") % limit
    if confidence not in Dispute.Confidence.values:
        problems["confidence"] = _("Say how sure you are.")
    if problems:
        raise ValidationError(problems)
    slot = Assignment.objects.select_for_update(of=("self",)).select_related("case").get(pk=assignment.pk)
    if slot.rater_id != rater.pk or slot.state not in {Assignment.State.CLAIMED, Assignment.State.SUBMITTED}:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    stated, fresh = OwnDiagnosis.objects.get_or_create(
        study_id=slot.study_id,
        case=slot.case,
        rater=rater,
        defaults={
            "assignment": slot,
            "diagnosis": own,
            "confidence": confidence,
            "informed": knows_reference(rater=rater, case=slot.case),
        },
    )
    if fresh:
        record_event(actor=rater, action="diagnosis.stated", subject=slot, detail={"confidence": confidence})
    return stated
