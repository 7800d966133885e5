"""Verdicts in the reader's language."""

from django import template
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from scoring.models import Certification
from scoring.rubric import dimensions_in
from scoring.verdict import Reason

register = template.Library()


@register.filter
def reasons(certification: Certification) -> list[str]:
    """Why the rule decided as it did, one sentence each."""
    names = {dimension.key: dimension.name for dimension in dimensions_in(get_language())}
    return [Reason(**stored).words(_, names) for stored in certification.evidence["reasons"]]
