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
    names = _dimension_names()
    return [Reason(**stored).words(_, names) for stored in certification.evidence["reasons"]]


@register.filter
def dimension_name(key: str) -> str:
    return _dimension_names()[key]


def _dimension_names() -> dict[str, str]:
    return {dimension.key: dimension.name for dimension in dimensions_in(get_language())}
