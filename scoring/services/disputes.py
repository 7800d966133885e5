"""Disputes about a reference diagnosis: a rater raises one, an adjudicator settles it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, Case, Dispute, NarrativeVersion, Rating, Study
from scoring.services.audit import record_event
from scoring.services.certification import certify_version
from scoring.services.reveals import knows_reference

LONGEST_DIAGNOSIS = 200


@transaction.atomic
def dispute_reference(*, rating: Rating, rater: Any, diagnosis: str, confidence: str, note: str = "") -> Dispute:
    """Hold her own diagnosis against the reference; no text about the case is certified until it is settled.

    Raises ``ValidationError`` when the rating is not hers, the reference was not shown to her, she
    disputes it already, or a field is missing.
    """
    case = rating.version.narrative.case
    if rating.rater_id != rater.pk:
        raise ValidationError(_("This is somebody else's rating."))
    if not knows_reference(rater=rater, case=case):
        raise ValidationError(_("Look at the reference diagnosis before you dispute it."))
    own = " ".join(diagnosis.split())
    if not own or len(own) > LONGEST_DIAGNOSIS:
        raise ValidationError(
            {"diagnosis": _("Give your own diagnosis, in at most %(limit)s characters.") % {"limit": LONGEST_DIAGNOSIS}}
        )
    if confidence not in Dispute.Confidence.values:
        raise ValidationError({"confidence": _("Say how sure you are.")})
    Case.objects.select_for_update().get(pk=case.pk)
    if Dispute.objects.open().filter(case=case, rater=rater).exists():
        raise ValidationError(_("You have disputed this reference already; an adjudicator looks at it."))
    dispute = Dispute.objects.create(
        case=case,
        rating=rating,
        rater=rater,
        reference=case.diagnosis,
        diagnosis=own,
        confidence=confidence,
        note=note.strip(),
    )
    record_event(actor=rater, action="reference.disputed", subject=dispute, detail={"confidence": confidence})
    _certify_again(case)
    return dispute


@transaction.atomic
def settle_dispute(*, dispute: Dispute, adjudicator: Any, outcome: str, reason: str, diagnosis: str = "") -> Dispute:
    """The adjudicator's answer: the reference stands, or ``diagnosis`` takes its place by consensus.

    The certification rule then looks again at every text about the case. Raises ``ValidationError``
    when it is settled already, she raised it herself, or the reason or the new diagnosis is missing.
    """
    current = Dispute.objects.select_for_update(of=("self",)).select_related("case").get(pk=dispute.pk)
    new = " ".join(diagnosis.split())
    corrected = outcome == Dispute.Outcome.CORRECTED
    if current.outcome:
        raise ValidationError(_("This dispute is settled already. Reload the page."))
    if outcome not in Dispute.Outcome.values:
        raise ValidationError(_("Decide whether the reference stands or is corrected."))
    if current.rater_id == adjudicator.pk:
        raise ValidationError(_("You raised this dispute, so another adjudicator must settle it."))
    if not reason.strip():
        raise ValidationError({"reason": _("Give the reason for your decision.")})
    if corrected and (not new or len(new) > LONGEST_DIAGNOSIS or new == current.case.diagnosis):
        raise ValidationError({"diagnosis": _("Give the diagnosis that takes the place of the reference.")})
    current.outcome, current.reason = outcome, reason.strip()
    current.settled_by, current.settled_at = adjudicator, timezone.now()
    current.save(update_fields=["outcome", "reason", "settled_by", "settled_at"])
    detail = {"outcome": outcome, "reason": current.reason}
    if corrected:
        Case.objects.filter(pk=current.case_id).update(diagnosis=new, diagnosis_basis=Case.Basis.CONSENSUS)
        detail |= {"before": current.case.diagnosis, "after": new}
    record_event(actor=adjudicator, action="reference.settled", subject=current, detail=detail)
    _certify_again(current.case)
    return current


def _certify_again(case: Case) -> None:
    rated = Assignment.objects.filter(version__narrative__case=case, state=Assignment.State.SUBMITTED)
    pairs = set(rated.values_list("study", "version"))
    studies = Study.objects.select_related("policy").in_bulk({study for study, _ in pairs})
    versions = NarrativeVersion.objects.in_bulk({version for _, version in pairs})
    for study, version in sorted(pairs):
        certify_version(study=studies[study], version=versions[version])
