"""The from-scratch share: for some cases a rater writes the narrative herself instead of scoring a draft."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Assignment, Case, NarrativeVersion, RatingDraft, Study
from scoring.narrative_format import DIAGNOSIS, headed_text
from scoring.services.audit import record_event
from scoring.services.narratives import create_narrative
from scoring.services.queue import enqueue_versions


def is_drawn(study: Study, case: Case) -> bool:
    """Whether the study's seed draws the case into the from-scratch share; the same answer every time."""
    digest = hashlib.blake2b(f"scratch:{study.seed}:{case.public_id.hex}".encode(), digest_size=8).digest()
    return 100 * int.from_bytes(digest) / 2**64 < study.from_scratch_percent


def asks_text(assignment: Assignment, rater: Any) -> bool:
    """Whether she is to write about this case: it is drawn, and nobody has written about it in the study yet."""
    study = assignment.study
    if not study.from_scratch_percent or assignment.purpose != Assignment.Purpose.LIVE:
        return False
    if assignment.state == Assignment.State.SUBMITTED or not is_drawn(study, assignment.case):
        return False
    written = NarrativeVersion.objects.filter(
        narrative__case=assignment.case_id,
        origin=NarrativeVersion.Origin.FROM_SCRATCH,
        assignments__study=study,
    )
    return not written.exists()


@transaction.atomic
def submit_text(*, assignment: Assignment, rater: Any, parts: Mapping[str, str]) -> NarrativeVersion:
    """Keep her narrative as a new one from scratch and queue it for others; her slot of the draft goes to another.

    ``parts``: step kind (``STEP_KINDS``) to her words. She is not offered that draft again. Raises ``ValidationError``
    without a diagnosis, for an oversized text, and for a slot that is no longer hers.
    """
    slots = Assignment.objects.select_for_update(of=("self",)).select_related("study", "case")
    slot = slots.get(pk=assignment.pk)
    if slot.rater_id != rater.pk or slot.state != Assignment.State.CLAIMED:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    if not parts.get(DIAGNOSIS, "").strip():
        raise ValidationError({DIAGNOSIS: _("Write at least the diagnosis.")})
    known = [name for name in NarrativeVersion.CONTEXT_FIELDS if getattr(slot.case, name) not in ("", None)]
    version = create_narrative(
        case=slot.case,
        text=headed_text(parts),
        author_kind=NarrativeVersion.Author.PERSON,
        author=rater,
        origin=NarrativeVersion.Origin.FROM_SCRATCH,
        language=slot.language,
        context_given=known,
    )
    RatingDraft.objects.filter(assignment=slot, rater=rater).delete()
    _pass_on(slot)
    enqueue_versions(study=slot.study, versions=[version], actor=rater)
    record_event(actor=rater, action="narrative.written", subject=version, detail={"instead_of": str(slot.public_id)})
    return version


def _pass_on(slot: Assignment) -> None:
    """Her slot is closed under her name, so that the draft never comes back to her; an open one takes its place."""
    Assignment.objects.filter(pk=slot.pk).update(state=Assignment.State.CLOSED, lease_expires=None)
    slot.successor(rule="replaces_written").save()
