"""The next case without leaving the page: fetched on a soft hold while she scores, hers once she submits."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotator.rating.door import own_assignment
from annotator.rating.page import assignment_page
from annotator.rating.previous import as_previous
from scoring.models import Assignment, Rating, Study
from scoring.services.queue import claim_next, hold_next
from scoring.services.reveals import record_reveal

CASE = "rating/partials/case.html"
PREVIOUS = "rating/partials/previous.html"


@own_assignment
@require_safe
def ahead(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """``{"ahead": {"id", "url", "main"} or null}``: the case that comes after this one, for her page to fetch early."""
    return JsonResponse({"ahead": _held(request, assignment.study)})


def answer_in_place(request: HttpRequest, rating: Rating) -> JsonResponse:
    """After a submission by script: ``case`` is what to show now, unless the page has it from before (``ahead`` of its
    form); ``previous`` is shown above it, ``ahead`` is to be fetched early. ``{"go": address}`` leads to a page
    that says why there is no case.
    """
    study = rating.study
    try:
        claimed = claim_next(study=study, rater=request.user)
    except ValidationError:
        claimed = None
    if claimed is None:
        return JsonResponse({"go": reverse("rating:study", args=[study.public_id])})
    known = str(claimed.public_id) == request.POST.get("ahead")
    previous = {"previous": as_previous(rating, request.user)}
    return JsonResponse(
        {
            "case": None if known else case_part(request, claimed),
            "previous": render_to_string(PREVIOUS, previous, request),
            "ahead": _held(request, study),
        }
    )


def refuse_in_place(request: HttpRequest, assignment: Assignment, context: dict[str, Any]) -> JsonResponse:
    """A refused submission comes back with its reasons and all that was entered."""
    return JsonResponse({"case": _part(request, assignment, context)}, status=422)


def case_part(request: HttpRequest, assignment: Assignment) -> dict[str, str]:
    """A case as the page shows it; a study that always names the reference reveals it with that."""
    if assignment.study.reveal == Study.Reveal.ALWAYS:
        record_reveal(rater=request.user, case=assignment.version.narrative.case)
    return _part(request, assignment, assignment_page(assignment, request.user, previous=None))


def _held(request: HttpRequest, study: Study) -> dict[str, str] | None:
    try:
        held = hold_next(study=study, rater=request.user)
    except ValidationError:
        return None
    return case_part(request, held) if held is not None else None


def _part(request: HttpRequest, assignment: Assignment, context: dict[str, Any]) -> dict[str, str]:
    return {
        "id": str(assignment.public_id),
        "url": reverse("rating:assignment", args=[assignment.public_id]),
        "main": render_to_string(CASE, context, request),
    }
