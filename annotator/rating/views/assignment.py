"""The rating page: scoring, correcting and skipping the narrative that she holds."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotator.rating import entry
from annotator.rating.door import own_assignment
from annotator.rating.page import assignment_page, image_urls, narrative_context
from annotator.rating.views.queue import enter_study, own_enrolment
from scoring.models import Assignment, RatingDraft, Skip
from scoring.services.queue import renew_lease, skip_assignment
from scoring.services.ratings import save_draft, submit_rating
from scoring.services.revising import submit_revision

UNPROCESSABLE = 422


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def rate(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Shows the case, and takes the six scores. A refused submission comes back with all that was entered."""
    if request.method == "POST":
        return _submit(request, assignment)
    if assignment.state == Assignment.State.SUBMITTED:
        messages.info(request, "You have already submitted this narrative. This is your list of ratings.")
        return redirect("rating:mine")
    renew_lease(assignment=assignment, rater=request.user)
    return render(request, "rating/assignment.html", assignment_page(assignment, request.user))


def _submit(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    fields: dict[str, str] = {}
    try:
        fields = entry.known_fields(request.POST)
        submit_rating(
            assignment=assignment,
            rater=request.user,
            client_uuid=entry.sent_uuid(request.POST.get("client_uuid"), assignment, request.user),
            scores=entry.score_inputs(fields),
            comment=fields.get("comment", "").strip(),
            active_seconds=entry.active_seconds(request.POST.get("active_seconds")),
        )
    except ValidationError as refused:
        return _refuse(request, assignment, refused, fields)
    return enter_study(request, own_enrolment(request.user, assignment.study.public_id))


def _refuse(
    request: HttpRequest, assignment: Assignment, refused: ValidationError, fields: dict[str, str]
) -> HttpResponse:
    keyed = hasattr(refused, "error_dict")
    errors = refused.message_dict if keyed else {}
    context = assignment_page(
        assignment, request.user, fields=fields, errors=errors, problems=[] if keyed else refused.messages
    )
    return render(request, "rating/assignment.html", context, status=UNPROCESSABLE)


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def revise(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Her corrected steps become the next version, for her colleagues to score."""
    draft = RatingDraft.objects.filter(assignment=assignment, rater=request.user.pk).first()
    fields = draft.content.get("fields", {}) if draft else {}
    problems: list[str] = []
    if request.method == "POST":
        try:
            fields = fields | entry.known_fields(request.POST)
            return _save_revision(request, assignment, fields)
        except ValidationError as refused:
            problems = refused.messages
    context = {
        "assignment": assignment,
        "problems": problems,
        "images": image_urls(assignment.version.narrative.case),
        **narrative_context(assignment.version),
    }
    for section in context["sections"]:
        for step in section["steps"]:
            step["entered"] = fields.get(f"step-{step['number']}", step["text"])
            step["rows"] = max(2, len(step["entered"]) // 48 + 1)
    template = "rating/partials/revise_form.html" if getattr(request, "htmx", False) else "rating/revise.html"
    return render(request, template, context, status=UNPROCESSABLE if problems else 200)


def _save_revision(request: HttpRequest, assignment: Assignment, fields: dict[str, str]) -> HttpResponse:
    changed = entry.corrected_steps(fields, assignment.version.step_texts())
    if not changed:
        raise ValidationError("Nothing was changed. Edit a step before saving a new version.")
    revised = submit_revision(assignment=assignment, rater=request.user, replacements=changed)
    _forget_corrections(assignment, request.user)
    messages.success(
        request,
        f"Version {revised.number} is queued for your colleagues; your scores of it would not count. "
        "Now score the text as it was.",
    )
    return redirect("rating:assignment", public_id=assignment.public_id)


def _forget_corrections(assignment: Assignment, rater: Any) -> None:
    draft = RatingDraft.objects.filter(assignment=assignment, rater=rater).first()
    if draft is None or assignment.state != Assignment.State.CLAIMED:
        return
    kept = {name: text for name, text in draft.content.get("fields", {}).items() if not name.startswith("step-")}
    save_draft(
        assignment=assignment, rater=rater, content=draft.content | {"fields": kept}, revision=draft.revision + 1
    )


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def skip(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Passes the narrative on, with a reason."""
    problems: list[str] = []
    if request.method == "POST":
        try:
            skip_assignment(
                assignment=assignment,
                rater=request.user,
                reason=request.POST.get("reason", ""),
                note=request.POST.get("note", "")[: entry.LONGEST_FIELD],
            )
        except ValidationError as refused:
            problems = refused.messages
        else:
            messages.info(request, "Skipped. You will not be given this narrative again.")
            return enter_study(request, own_enrolment(request.user, assignment.study.public_id))
    context = {
        "assignment": assignment,
        "problems": problems,
        "skip_reasons": Skip.Reason.choices,
        "chosen": request.POST.get("reason", ""),
        "note": request.POST.get("note", ""),
    }
    return render(request, "rating/skip.html", context, status=UNPROCESSABLE if problems else 200)
