"""Her own diagnosis from the images and the context, before the text is shown; nothing of the text is on this page."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.drafting import kept_draft
from annotator.rating.narrative import case_context, image_urls
from annotator.rating.views.assignment import UNPROCESSABLE
from scoring.models import Assignment, Dispute, RatingDraft
from scoring.services.own_diagnoses import asks_diagnosis, state_diagnosis
from scoring.services.queue import renew_lease
from scoring.services.rating_drafts import drop_fields


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def diagnosis(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Takes it once; afterwards, and where the study does not ask, the case itself is the page."""
    if not asks_diagnosis(assignment, request.user):
        return redirect("rating:assignment", public_id=assignment.public_id)
    draft = RatingDraft.objects.filter(assignment=assignment, rater=request.user.pk).first()
    content = draft.content if draft else {}
    fields = content.get("fields", {})
    errors: dict[str, list[str]] = {}
    problems: list[str] = []
    if request.method == "POST":
        try:
            fields = entry.known_fields(request.POST)
            state_diagnosis(
                assignment=assignment,
                rater=request.user,
                diagnosis=fields.get("own-diagnosis", ""),
                confidence=fields.get("own-confidence", ""),
            )
        except ValidationError as refused:
            keyed = hasattr(refused, "error_dict")
            errors, problems = (refused.message_dict, []) if keyed else ({}, refused.messages)
        else:
            drop_fields(assignment=assignment, rater=request.user, prefix=entry.OWN)
            return redirect("rating:assignment", public_id=assignment.public_id)
    renew_lease(assignment=assignment, rater=request.user)
    context = {
        "assignment": assignment,
        "problems": problems,
        "errors": errors,
        "diagnosis": fields.get("own-diagnosis", ""),
        "confidence": fields.get("own-confidence", ""),
        **kept_draft(content, draft.revision if draft else 0),
        "confidences": Dispute.Confidence.choices,
        "images": image_urls(assignment.version.narrative.case),
        **case_context(assignment.version),
    }
    return render(request, "rating/diagnosis.html", context, status=UNPROCESSABLE if errors or problems else 200)
