"""What an administrator says of a rater in a study."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Enrolment
from scoring.services.audit import record_event


@transaction.atomic
def set_expertise(*, enrolment: Enrolment, areas: Sequence[str], actor: Any) -> Enrolment:
    """The areas that she is given, in the study's words. Raises ``ValidationError`` for one that no rule names."""
    known = {rule["needs"] for rule in enrolment.study.expertise}
    unknown = sorted(set(areas) - known)
    if unknown:
        raise ValidationError(_("The study asks for no such area: %(areas)s.") % {"areas": ", ".join(unknown)})
    enrolment.expertise = sorted(set(areas))
    enrolment.save(update_fields=["expertise"])
    record_event(
        actor=actor,
        action="study.expertise_set",
        subject=enrolment.study,
        detail={"rater": str(enrolment.rater.public_id), "areas": enrolment.expertise},
    )
    return enrolment
