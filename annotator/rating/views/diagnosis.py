"""Her own diagnosis from the images and the context, before the text is shown; nothing of the text is on this page."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotator.rating.door import own_assignment
from annotator.rating.narrative import case_context, image_urls
from annotator.rating.views.assignment import UNPROCESSABLE
from scoring.models import Assignment, Dispute
from scoring.services.own_diagnoses import asks_diagnosis, state_diagnosis
from scoring.services.queue import renew_lease


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def diagnosis(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Takes it once; afterwards, and where the study does not ask, the case itself is the page."""
    if not asks_diagnosis(assignment, request.user):
        return redirect("rating:assignment", public_id=assignment.public_id)
    errors: dict[str, list[str]] = {}
    problems: list[str] = []
    if request.method == "POST":
        try:
            state_diagnosis(
                assignment=assignment,
                rater=request.user,
                diagnosis=request.POST.get("diagnosis", ""),
                confidence=request.POST.get("confidence", ""),
            )
        except ValidationError as refused:
            keyed = hasattr(refused, "error_dict")
            errors, problems = (refused.message_dict, []) if keyed else ({}, refused.messages)
        else:
            return redirect("rating:assignment", public_id=assignment.public_id)
    renew_lease(assignment=assignment, rater=request.user)
    context = {
        "assignment": assignment,
        "problems": problems,
        "errors": errors,
        "entered": request.POST,
        "confidences": Dispute.Confidence.choices,
        "images": image_urls(assignment.version.narrative.case),
        **case_context(assignment.version),
    }
    return render(request, "rating/diagnosis.html", context, status=UNPROCESSABLE if errors or problems else 200)
