"""Revising: a person mends a text; the corrected version gets its own ratings and is preferred to the draft."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, NarrativeVersion, Preference, PreferenceChoice, Study
from scoring.narrative_format import replace_steps
from scoring.services.audit import record_event
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions
from scoring.services.rating_drafts import drop_fields

REVISION_PRIORITY = 5


@transaction.atomic
def queue_revision(*, study: Study, version: NarrativeVersion, text: str, author: Any) -> NarrativeVersion:
    """Save ``text`` as the next version, queue it for raters who wrote none of it, keep draft and revision as a pair.

    Raises ``ValidationError`` when nothing changed or the study takes no narratives.
    """
    revised = revise_version(version=version, text=text, author=author)
    enqueue_versions(study=study, versions=[revised], actor=author, priority=REVISION_PRIORITY)
    pair = Preference.objects.create(
        study=study,
        case=version.narrative.case,
        left=version,
        right=revised,
        rater=author,
        origin=Preference.Origin.REVISION,
        client_uuid=uuid.uuid4(),
    )
    PreferenceChoice.objects.create(preference=pair, dimension="overall", choice=PreferenceChoice.Choice.RIGHT)
    return revised


@transaction.atomic
def submit_revision(*, assignment: Assignment, rater: Any, replacements: Mapping[int, str]) -> NarrativeVersion:
    """Save a rater's corrected steps as a new version; she may score it too, but only others' scores count.

    ``replacements``: step number (from 1) to its new text; an empty text removes the step. Her draft of these steps
    is dropped. Sent twice it returns the version that was made. Raises ``ValidationError`` when the assignment is
    not hers, a step does not exist or nothing changed.
    """
    hers = Assignment.objects.select_for_update(of=("self",)).filter(pk=assignment.pk, rater=rater)
    own = hers.select_related("study", "version__narrative__case").first()
    if own is None or own.state not in {Assignment.State.CLAIMED, Assignment.State.SUBMITTED}:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    steps = own.version.step_list()
    missing = sorted(number for number in replacements if not 1 <= number <= len(steps))
    if missing:
        raise ValidationError(_("There is no step %(number)s in this narrative.") % {"number": missing[0]})
    text = replace_steps(own.version.text, steps, {n - 1: t for n, t in replacements.items()})
    drop_fields(assignment=own, rater=rater, prefix="step-")
    repeated = NarrativeVersion.objects.filter(parent=own.version, author=rater, text=text).first()
    if repeated is not None:  # the second click, or an answer that was lost
        return repeated
    revised = queue_revision(study=own.study, version=own.version, text=text, author=rater)
    now = timezone.now()
    Assignment.objects.create(
        study=own.study,
        version=revised,
        case=own.case,
        language=own.language,
        purpose=Assignment.Purpose.REVISION,
        slot=1,
        state=Assignment.State.CLAIMED,
        rater=rater,
        claimed_at=now,
        lease_expires=now + timedelta(minutes=own.study.lease_minutes),
        order_key=0,
    )
    return revised


@transaction.atomic
def leave_own_revision(*, assignment: Assignment, rater: Any) -> None:
    """Go on without scoring her own correction. Raises ``ValidationError`` when it does not wait for her."""
    left = Assignment.objects.filter(
        pk=assignment.pk, rater=rater, purpose=Assignment.Purpose.REVISION, state=Assignment.State.CLAIMED
    ).update(state=Assignment.State.CLOSED, lease_expires=None)
    if left != 1:
        raise ValidationError(_("This text does not wait for your scores any more."))
    record_event(actor=rater, action="revision.not_scored", subject=assignment)
