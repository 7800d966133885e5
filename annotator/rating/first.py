"""What comes before a text is shown: her own diagnosis, or writing it herself. Until then nothing carries the text."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect

from scoring.models import Assignment
from scoring.services.own_diagnoses import asks_diagnosis
from scoring.services.writing import asks_text


def first_page(assignment: Assignment, rater: Any) -> str:
    """The name of the page where she goes first; empty where the text may be shown."""
    if asks_diagnosis(assignment, rater):
        return "rating:diagnosis"
    return "rating:write" if asks_text(assignment, rater) else ""


def redirect_first(assignment: Assignment, rater: Any) -> HttpResponse | None:
    name = first_page(assignment, rater)
    return redirect(name, public_id=assignment.public_id) if name else None
