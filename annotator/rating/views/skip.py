"""Passing a narrative on."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.views.assignment import UNPROCESSABLE
from annotator.rating.views.queue import enter_study, own_enrolment
from scoring.models import Assignment, Skip
from scoring.services.queue import skip_assignment
from scoring.services.revising import leave_own_revision


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def skip(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Passes the narrative on, with a reason; her own correction needs none."""
    problems: list[str] = []
    if request.method == "POST":
        try:
            _skip(request, assignment)
        except ValidationError as refused:
            problems = refused.messages
        else:
            return enter_study(request, own_enrolment(request.user, assignment.study.public_id))
    context = {
        "assignment": assignment,
        "problems": problems,
        "skip_reasons": Skip.Reason.choices,
        "chosen": request.POST.get("reason", ""),
        "note": request.POST.get("note", ""),
    }
    return render(request, "rating/skip.html", context, status=UNPROCESSABLE if problems else 200)


def _skip(request: HttpRequest, assignment: Assignment) -> None:
    if assignment.purpose == Assignment.Purpose.REVISION:
        leave_own_revision(assignment=assignment, rater=request.user)
        return
    skip_assignment(
        assignment=assignment,
        rater=request.user,
        reason=request.POST.get("reason", ""),
        note=request.POST.get("note", "")[: entry.LONGEST_FIELD],
    )
    messages.info(request, _("Skipped. You will not be given this narrative again."))
