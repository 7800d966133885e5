"""The rating page: scoring the narrative that she holds, and changing what she submitted."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.first import redirect_first
from annotator.rating.marking import mark_inputs
from annotator.rating.page import assignment_page
from annotator.rating.views.ahead import answer_in_place, refuse_in_place
from annotator.rating.views.queue import enter_study, own_enrolment
from scoring.models import Assignment, Rating, Study
from scoring.services.conduct import work_since_break
from scoring.services.queue import renew_lease
from scoring.services.ratings import change_refusal, correct_rating, submit_rating
from scoring.services.reveals import record_reveal

UNPROCESSABLE = 422


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def rate(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Shows the case, and takes the six scores. A refused submission comes back with all that was entered."""
    first = redirect_first(assignment, request.user)
    if first is not None:
        return first
    corrects = _current_rating(assignment)
    if request.method == "POST":
        return _submit(request, assignment, corrects)
    if corrects is not None:
        refused = change_refusal(corrects)
        if refused:
            messages.info(request, refused)
            return redirect("rating:mine")
    elif assignment.study.reveal == Study.Reveal.ALWAYS:
        record_reveal(rater=request.user, case=assignment.version.narrative.case)
    renew_lease(assignment=assignment, rater=request.user)
    context = assignment_page(assignment, request.user, corrects=corrects)
    if context["previous"] is not None:
        context["spell"] = work_since_break(study=assignment.study, rater=request.user)
    return render(request, "rating/assignment.html", context)


def _current_rating(assignment: Assignment) -> Rating | None:
    if assignment.state != Assignment.State.SUBMITTED:
        return None
    ratings = Rating.objects.current().select_related("assignment", "version__narrative__case")
    return ratings.prefetch_related("scores", "marks").get(assignment=assignment)


def _submit(request: HttpRequest, assignment: Assignment, corrects: Rating | None) -> HttpResponse:
    fields: dict[str, str] = {}
    changes = corrects is not None and request.POST.get("corrects") == str(corrects.public_id)
    try:
        fields = entry.known_fields(request.POST)
        entered: dict[str, Any] = {
            "rater": request.user,
            "client_uuid": entry.sent_uuid(
                request.POST.get("client_uuid"),
                entry.client_uuid(assignment, request.user, corrects if changes else None),
            ),
            "scores": entry.score_inputs(fields),
            "marks": mark_inputs(fields, assignment.version),
            "comment": fields.get("comment", "").strip(),
            "active_seconds": entry.active_seconds(request.POST.get("active_seconds")),
        }
        if changes and corrects is not None:
            rating = correct_rating(rating=corrects, **entered)
        else:
            rating = submit_rating(assignment=assignment, **entered)
    except ValidationError as refused:
        return _refuse(request, assignment, corrects if changes else None, refused, fields)
    return _after(request, assignment, rating)


def _after(request: HttpRequest, assignment: Assignment, rating: Rating) -> HttpResponse:
    """The next case, which may be her own corrected version; back to her list after an informed change."""
    if rating.informed and rating.supersedes_id is not None:
        messages.success(request, _("Your changed scores are kept beside the first ones."))
        mine = reverse("rating:mine")
        return JsonResponse({"go": mine}) if _by_script(request) else redirect(mine)
    if _by_script(request):
        return answer_in_place(request, rating)
    return enter_study(request, own_enrolment(request.user, assignment.study.public_id))


def _by_script(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _refuse(
    request: HttpRequest,
    assignment: Assignment,
    corrects: Rating | None,
    refused: ValidationError,
    fields: dict[str, str],
) -> HttpResponse:
    keyed = hasattr(refused, "error_dict")
    context = assignment_page(
        assignment,
        request.user,
        corrects=corrects,
        fields=fields,
        errors=refused.message_dict if keyed else {},
        problems=[] if keyed else refused.messages,
    )
    if _by_script(request):
        return refuse_in_place(request, assignment, context)
    return render(request, "rating/assignment.html", context, status=UNPROCESSABLE)
