"""The next case without leaving the page: fetched on a soft hold while she scores, hers once she submits."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotator.rating.door import own_assignment
from annotator.rating.first import first_page
from annotator.rating.page import assignment_page, done_today
from annotator.rating.previous import as_previous
from scoring.models import Assignment, NarrativeVersion, Rating, Study
from scoring.prepared import Given, Prepared
from scoring.services.conduct import work_since_break
from scoring.services.queue import claim_and_hold, hold_next
from scoring.services.reveals import record_reveal

CASE = "rating/partials/case.html"
PREVIOUS = "rating/partials/previous.html"
TEXT: Prepared[NarrativeVersion] = Prepared(
    lambda: NarrativeVersion.objects.select_related("narrative__case").filter(pk=Given("version"))
)


@own_assignment
@require_safe
def ahead(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """``{"ahead": {"id", "url", "main"} or null}``: the case that comes after this one, for her page to fetch early."""
    try:
        held = hold_next(study=assignment.study, rater=request.user)
    except ValidationError:
        held = None
    return JsonResponse({"ahead": _ahead_part(request, held, done_today(request.user) + 1)})


def answer_in_place(request: HttpRequest, rating: Rating) -> JsonResponse:
    """After a submission by script: ``case`` is what to show now, unless the page has it from before (``ahead`` of its
    form); ``previous`` is shown above it, ``ahead`` is to be fetched early. ``{"go": address}`` leads to a page
    that says why there is no case.
    """
    try:
        claimed, held = claim_and_hold(study=rating.study, rater=request.user)
    except ValidationError:
        claimed = None
    if claimed is None or first_page(claimed, request.user):
        return JsonResponse({"go": reverse("rating:study", args=[rating.study.public_id])})
    is_known = str(claimed.public_id) == request.POST.get("ahead")
    done = done_today(request.user)
    spell = work_since_break(study=rating.study, rater=request.user)
    previous = {"previous": as_previous(rating, request.user), "spell": spell}
    return JsonResponse(
        {
            "case": None if is_known else _case_part(request, claimed, done),
            "previous": _rendered(request, PREVIOUS, previous),
            "ahead": _ahead_part(request, held, done + 1),
        }
    )


def refuse_in_place(request: HttpRequest, assignment: Assignment, context: dict[str, Any]) -> JsonResponse:
    """A refused submission comes back with its reasons and all that was entered."""
    return JsonResponse({"case": _part(request, assignment, context)}, status=422)


def _ahead_part(request: HttpRequest, held: Assignment | None, done: int) -> dict[str, str] | None:
    """What may be fetched early: nothing of a text that she may not see before she has said or written her own."""
    if held is None or first_page(held, request.user):
        return None
    return _case_part(request, held, done)


def _case_part(request: HttpRequest, assignment: Assignment, done: int) -> dict[str, str]:
    """A case as the page shows it; a study that always names the reference reveals it with that."""
    (assignment.version,) = TEXT.rows(version=assignment.version_id)
    if assignment.study.reveal == Study.Reveal.ALWAYS:
        record_reveal(rater=request.user, case=assignment.version.narrative.case)
    context = assignment_page(assignment, request.user, previous=None, done_today=done)
    return _part(request, assignment, context)


def _part(request: HttpRequest, assignment: Assignment, context: dict[str, Any]) -> dict[str, str]:
    return {
        "id": str(assignment.public_id),
        "url": reverse("rating:assignment", args=[assignment.public_id]),
        "main": _rendered(request, CASE, context),
    }


def _rendered(request: HttpRequest, template: str, context: dict[str, Any]) -> str:
    """Without the context processors: a part of a page needs neither messages nor navigation."""
    return render_to_string(template, context | {"csrf_token": get_token(request)})
