"""Verdicts in the reader's language."""

from django import template
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from scoring.models import Certification
from scoring.rubric import dimension_names
from scoring.verdict import Reason

register = template.Library()


@register.filter
def reasons(certification: Certification) -> list[str]:
    """Why the rule decided as it did, one sentence each."""
    names = dimension_names(get_language())
    return [Reason(**stored).words(_, names) for stored in certification.evidence["reasons"]]


@register.filter
def dimension_name(key: str) -> str:
    return dimension_names(get_language())[key]
