"""Revising: a rater mends the text she judges; the corrected version gets its own ratings."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from scoring.models import Assignment, NarrativeVersion
from scoring.narrative_format import replace_steps
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions

REVISION_PRIORITY = 5


@transaction.atomic
def submit_revision(*, assignment: Assignment, rater: Any, replacements: Mapping[int, str]) -> NarrativeVersion:
    """Save her corrected steps as a new version and queue it for the study's other raters.

    ``replacements``: step number (from 1) to its new text; an empty text removes the step. Raises
    ``ValidationError`` when the assignment is not hers, a step does not exist or nothing changed.
    """
    own = Assignment.objects.select_related("study", "version").filter(pk=assignment.pk, rater=rater).first()
    if own is None or own.state not in {Assignment.State.CLAIMED, Assignment.State.SUBMITTED}:
        raise ValidationError("This narrative is no longer assigned to you. Take the next one.")
    steps = own.version.step_list()
    missing = sorted(number for number in replacements if not 1 <= number <= len(steps))
    if missing:
        raise ValidationError(f"There is no step {missing[0]} in this narrative.")
    text = replace_steps(own.version.text, steps, {n - 1: t for n, t in replacements.items()})
    revised = revise_version(version=own.version, text=text, author=rater)
    enqueue_versions(study=own.study, versions=[revised], actor=rater, priority=REVISION_PRIORITY)
    return revised
