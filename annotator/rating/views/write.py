"""Writing a narrative from scratch, for the share of cases that the study's seed draws."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.first import first_page
from annotator.rating.narrative import context_chips, image_urls
from annotator.rating.views.assignment import UNPROCESSABLE
from annotator.rating.views.queue import enter_study, own_enrolment
from scoring.models import Assignment, RatingDraft
from scoring.narrative_format import DIAGNOSIS, STEP_KINDS
from scoring.services.queue import renew_lease
from scoring.services.writing import submit_text

ROWS = {DIAGNOSIS: 2}


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def write(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Her words become a narrative for her colleagues to score. Where she is not asked, the case itself is the page.

    What she sends is taken even when somebody else has written about the case meanwhile: it is not lost.
    """
    if request.method != "POST" and first_page(assignment, request.user) != "rating:write":
        return redirect("rating:assignment", public_id=assignment.public_id)
    draft = RatingDraft.objects.filter(assignment=assignment, rater=request.user.pk).first()
    fields = draft.content.get("fields", {}) if draft else {}
    errors: dict[str, list[str]] = {}
    problems: list[str] = []
    if request.method == "POST":
        try:
            fields = entry.known_fields(request.POST)
            submit_text(assignment=assignment, rater=request.user, parts=entry.written_parts(fields))
        except ValidationError as refused:
            keyed = hasattr(refused, "error_dict")
            errors, problems = (refused.message_dict, []) if keyed else ({}, refused.messages)
        else:
            messages.success(request, _("Your text is queued for your colleagues to score. Thank you."))
            return enter_study(request, own_enrolment(request.user, assignment.study.public_id))
    renew_lease(assignment=assignment, rater=request.user)
    context = _page(assignment, request.user, draft, fields, errors) | {"problems": problems}
    return render(request, "rating/write.html", context, status=UNPROCESSABLE if errors or problems else 200)


def _page(
    assignment: Assignment, rater: Any, draft: RatingDraft | None, fields: dict[str, str], errors: dict[str, list[str]]
) -> dict[str, Any]:
    return {
        "assignment": assignment,
        "client_uuid": entry.client_uuid(assignment, rater),
        "revision": draft.revision if draft else 0,
        "draft_page": draft.content.get("page", "") if draft else "",
        "active_seconds": (draft.content.get("active_seconds") if draft else None) or 0,
        "images": image_urls(assignment.case),
        "chips": context_chips(assignment.case),
        "parts": [
            {
                "name": f"{entry.WRITE}{kind}",
                "heading": _(heading),
                "text": fields.get(f"{entry.WRITE}{kind}", ""),
                "errors": errors.get(kind, []),
                "rows": ROWS.get(kind, 5),
                "required": kind == DIAGNOSIS,
            }
            for kind, heading in STEP_KINDS.items()
        ],
    }
