"""The review desk: what waits, one narrative with its ratings, the decision, the revision."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, role_required
from annotator.accounts.signed_in import user_of
from annotator.narratives.history import rating_rows
from annotator.narratives.step_editing import edited_text
from annotator.review.desk import OUTCOMES, waiting
from annotator.review.forms import DecisionForm
from scoring.models import Certification
from scoring.rubric import DIMENSIONS
from scoring.services.certification import adjudicate, author_ids
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions
from scoring.services.revising import REVISION_PRIORITY
from scoring.worddiff import word_diff

PER_PAGE = 25


@require_safe
@role_required(ADJUDICATOR, ADMINISTRATOR)
def desk(request: HttpRequest) -> HttpResponse:
    items = waiting()
    page = Paginator(items.annotate(rated=Count("ratings")), PER_PAGE).get_page(request.GET.get("page"))
    disputed = items.filter(outcome=Certification.Outcome.ADJUDICATION).count()
    total = page.paginator.count
    context = {"page_obj": page, "disputed": disputed, "revision": total - disputed, "total": total}
    return render(request, "review/list.html", context)


@require_safe
@role_required(ADJUDICATOR, ADMINISTRATOR)
def detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    return _page(request, _certification(public_id), DecisionForm())


@require_POST
@role_required(ADJUDICATOR)
def decide(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    certification = _certification(public_id)
    form = DecisionForm(request.POST)
    if form.is_valid():
        try:
            decided = adjudicate(
                certification=certification,
                adjudicator=user_of(request),
                outcome=form.cleaned_data["outcome"],
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as refused:
            form.add_error(None, refused)
        else:
            code = certification.version.narrative.case.code
            verb = "accepted" if decided.outcome == Certification.Outcome.CERTIFIED else "rejected"
            messages.success(request, f"Case {code} is {verb}.")
            return _next(certification)
    return _page(request, certification, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADJUDICATOR)
def revise(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Edit the text step by step: a new version, first in the queue."""
    certification = _certification(public_id)
    version, study = certification.version, certification.study
    error = ""
    if request.method == "POST":
        try:
            if not is_waiting(certification):
                raise ValidationError("This narrative no longer waits for a decision. Go back to the desk.")
            with transaction.atomic():
                text = edited_text(version, request.POST.dict())
                revised = revise_version(version=version, text=text, author=user_of(request))
                enqueue_versions(study=study, versions=[revised], actor=user_of(request), priority=REVISION_PRIORITY)
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            case = version.narrative.case
            messages.success(
                request, f"Version {revised.number} of case {case.code} is queued for {study.overlap} new ratings."
            )
            return _next(certification)
    steps = version.step_texts()
    for step in steps:
        step["text"] = request.POST.get(f"step-{step['number']}", step["text"])
    context = _context(certification) | {"steps": steps, "error": error}
    return render(request, "review/revise.html", context, status=422 if error else 200)


def is_waiting(certification: Certification) -> bool:
    return certification.is_current and certification.outcome in OUTCOMES


def _page(request: HttpRequest, certification: Certification, form: DecisionForm, status: int = 200) -> HttpResponse:
    user = user_of(request)
    wrote_it = user.pk in author_ids(certification.version)
    acceptable = certification.outcome == Certification.Outcome.ADJUDICATION
    if not acceptable:
        form.fields["outcome"].choices = [(Certification.Outcome.REJECTED.value, "Reject")]  # type: ignore[attr-defined]
    parent = certification.version.parent
    context = _context(certification) | {
        "form": form,
        "ratings": rating_rows(
            certification.study, certification.ratings.select_related("rater").prefetch_related("scores")
        ),
        "dimensions": DIMENSIONS,
        "reasons": certification.evidence.get("reasons", []),
        "changes": word_diff(parent.text, certification.version.text) if parent else [],
        "is_waiting": is_waiting(certification),
        "may_decide": user.is_adjudicator and is_waiting(certification) and not wrote_it,
        "may_revise": user.is_adjudicator and is_waiting(certification),
        "wrote_it": wrote_it,
        "acceptable": acceptable,
    }
    return render(request, "review/detail.html", context, status=status)


def _context(certification: Certification) -> dict[str, Any]:
    version = certification.version
    return {
        "certification": certification,
        "version": version,
        "narrative": version.narrative,
        "case": version.narrative.case,
        "study": certification.study,
    }


def _certification(public_id: uuid.UUID) -> Certification:
    found = Certification.objects.select_related(
        "study", "policy", "version__parent", "version__narrative__case__source", "version__narrative__case__group"
    ).prefetch_related("version__narrative__case__images")
    return get_object_or_404(found, public_id=public_id)


def _next(certification: Certification) -> HttpResponse:
    """The next one that waits, the desk when none does."""
    following = waiting().exclude(pk=certification.pk).first()
    return redirect("review:detail", following.public_id) if following else redirect("review:list")
