"""Exclusion: only by the limits that the study stated before its first score."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, Certification, Enrolment, Rating, Study
from scoring.services.audit import record_event
from scoring.services.conduct import limits_passed, signs_of_raters
from scoring.services.policies import recertify_study
from scoring.services.releasing import release_rater

Purpose = Assignment.Purpose


@transaction.atomic
def exclude_rater(*, study: Study, rater: Any, actor: Any) -> Enrolment:
    """End a rater's part by the study's stated limits: she is given nothing more, her ratings count no more.

    Each of her live slots is closed and made anew for somebody else. Raises ``ValidationError`` where no stated limit
    is passed: then nobody may be excluded.
    """
    enrolment = Enrolment.objects.select_for_update().get(study=study, rater=rater)
    if enrolment.excluded_at is not None:
        raise ValidationError(_("This rater is excluded already."))
    found = signs_of_raters(study).get(rater.pk)
    passed = limits_passed(study, found) if found is not None else []
    if not passed:
        raise ValidationError(_("She passes none of the study's stated limits, so she cannot be excluded."))
    enrolment.excluded_at, enrolment.excluded_by, enrolment.exclusion = timezone.now(), actor, "; ".join(passed)
    enrolment.save(update_fields=["excluded_at", "excluded_by", "exclusion"])
    release_rater(study=study, rater=rater)
    replaced = _replace_slots(study, rater)
    recertify_study(study=study)
    record_event(
        actor=actor,
        action="study.rater_excluded",
        subject=study,
        detail={"rater": str(rater.public_id), "limits": passed, "slots": replaced},
    )
    return enrolment


def _replace_slots(study: Study, rater: Any) -> int:
    """Her live slots and ratings count as an excluded rater's; an open slot of the same number takes each one's place.

    What the rule had decided with her scores is decided anew once the new ratings are there; what an adjudicator
    decided stands.
    """
    hers = list(Assignment.objects.filter(study=study, rater=rater, purpose=Purpose.LIVE, state="submitted"))
    keys = [slot.pk for slot in hers]
    rested = Certification.objects.filter(study=study, is_current=True, adjudicator=None, ratings__assignment__in=keys)
    Certification.objects.filter(pk__in=list(rested.values_list("pk", flat=True))).update(is_current=False)
    Rating.objects.filter(assignment__in=keys).update(purpose=Purpose.EXCLUDED)
    Assignment.objects.filter(pk__in=keys).update(purpose=Purpose.EXCLUDED)
    Assignment.objects.bulk_create(slot.successor(rule="replaces_excluded") for slot in hers)
    return len(hers)
