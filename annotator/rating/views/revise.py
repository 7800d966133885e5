"""Correcting the text step by step, beside its scores."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.first import redirect_first
from annotator.rating.narrative import image_urls, narrative_context
from annotator.rating.views.assignment import UNPROCESSABLE
from scoring.models import Assignment, RatingDraft
from scoring.services.revising import submit_revision


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def revise(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Her corrected steps become the next version, for her colleagues to score, and for her if she likes."""
    first = redirect_first(assignment, request.user)
    if first is not None:
        return first
    draft = RatingDraft.objects.filter(assignment=assignment, rater=request.user.pk).first()
    fields = draft.content.get("fields", {}) if draft else {}
    problems: list[str] = []
    if request.method == "POST":
        try:
            fields = fields | entry.known_fields(request.POST)
            return _save(request, assignment, fields)
        except ValidationError as refused:
            problems = refused.messages
    context = {
        "assignment": assignment,
        "problems": problems,
        "images": image_urls(assignment.version.narrative.case),
        **narrative_context(assignment.version, fields),
    }
    for section in context["sections"]:
        for step in section["steps"]:
            step["entered"] = fields.get(f"step-{step['number']}", step["text"])
            step["rows"] = max(2, len(step["entered"]) // 48 + 1)
    template = "rating/partials/revise_form.html" if getattr(request, "htmx", False) else "rating/revise.html"
    return render(request, template, context, status=UNPROCESSABLE if problems else 200)


def _save(request: HttpRequest, assignment: Assignment, fields: dict[str, str]) -> HttpResponse:
    changed = entry.corrected_steps(fields, assignment.version.step_texts())
    if not changed:
        raise ValidationError(_("Nothing was changed. Edit a step before saving a new version."))
    revised = submit_revision(assignment=assignment, rater=request.user, replacements=changed)
    if assignment.state == Assignment.State.SUBMITTED:
        own = revised.assignments.get(purpose=Assignment.Purpose.REVISION, rater=request.user.pk)
        return redirect("rating:assignment", public_id=own.public_id)
    messages.success(
        request,
        _(
            "Version %(number)s is queued for your colleagues. Submit the scores of the text as it was, "
            "then score your version."
        )
        % {"number": revised.number},
    )
    return redirect("rating:assignment", public_id=assignment.public_id)
