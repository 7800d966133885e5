"""The review desk: what waits, one version with its ratings, the decision, a disputed reference, the revision."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, check_role, role_required
from annotator.accounts.signed_in import user_of
from annotator.narratives.step_editing import edited_text
from annotator.rating.narrative import context_chips, image_urls
from annotator.review.case import choices_of, columns_of, disputes_of, marks_of, pointed_images, rows_of
from annotator.review.desk import OUTCOMES, unranked, waiting
from annotator.review.forms import DecisionForm, SettleForm, entered_scores
from scoring.models import Certification, Dispute
from scoring.services.adjudication import decide_case
from scoring.services.certification import author_ids
from scoring.services.disputes import settle_dispute
from scoring.services.reveals import record_reveals
from scoring.services.revising import queue_revision
from scoring.worddiff import word_diff

PER_PAGE = 25
UNPROCESSABLE = 422


@require_safe
@role_required(ADJUDICATOR, ADMINISTRATOR)
def desk(request: HttpRequest) -> HttpResponse:
    counts = dict(unranked().order_by().values_list("outcome").annotate(n=Count("pk")))
    disputed, revision = (counts.get(outcome, 0) for outcome in OUTCOMES)
    paginator = Paginator(waiting(), PER_PAGE)
    paginator.count = disputed + revision  # not counted again with everything that ranks them
    page = paginator.get_page(request.GET.get("page"))
    context = {"page_obj": page, "disputed": disputed, "revision": revision, "total": paginator.count}
    return render(request, "review/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADJUDICATOR, ADMINISTRATOR)
def detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One version with all that was said about it; a POST is the adjudicator's decision."""
    certification = _certification(public_id)
    if request.method != "POST":
        return _page(request, certification)
    check_role(request, ADJUDICATOR)
    form = DecisionForm(request.POST)
    form.is_valid()
    errors: dict[str, list[str]] = {}
    try:
        decided = decide_case(
            certification=certification,
            adjudicator=user_of(request),
            scores=entered_scores(request.POST),
            cause=form.cleaned_data.get("cause", ""),
            decision=form.cleaned_data.get("decision", ""),
            note=form.cleaned_data.get("note", ""),
        )
    except ValidationError as refused:
        errors = refused.message_dict if hasattr(refused, "error_dict") else {"": refused.messages}
        return _page(request, certification, errors=errors)
    accepted = decided.outcome == Certification.Outcome.CERTIFIED
    text = _("Case %(code)s is accepted.") if accepted else _("Case %(code)s is rejected.")
    messages.success(request, text % {"code": certification.version.narrative.case.code})
    return _next(certification)


@require_POST
@role_required(ADJUDICATOR)
def settle(request: HttpRequest, public_id: uuid.UUID, dispute: uuid.UUID) -> HttpResponse:
    """Answers a dispute of the reference; the rule then looks again at every text about the case."""
    certification = _certification(public_id)
    version = certification.version
    disputed = get_object_or_404(Dispute, public_id=dispute, case=version.narrative.case_id)
    form = SettleForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([text for texts in form.errors.values() for text in texts])
        settle_dispute(dispute=disputed, adjudicator=user_of(request), **form.cleaned_data)
    except ValidationError as refused:
        return _page(request, certification, errors={"dispute": refused.messages})
    messages.success(request, _("The dispute is settled."))
    current = waiting().filter(study=certification.study, version=version).first()
    return redirect("review:detail", current.public_id) if current else _next(certification)


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
                raise ValidationError(_("This narrative no longer waits for a decision. Go back to the desk."))
            text = edited_text(version, request.POST.dict())
            revised = queue_revision(study=study, version=version, text=text, author=user_of(request))
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            text = ngettext(
                "Version %(number)s of case %(code)s is queued for %(count)s new rating.",
                "Version %(number)s of case %(code)s is queued for %(count)s new ratings.",
                study.overlap,
            )
            code = version.narrative.case.code
            messages.success(request, text % {"number": revised.number, "code": code, "count": study.overlap})
            return _next(certification)
    steps = version.step_texts()
    for step in steps:
        step["text"] = request.POST.get(f"step-{step['number']}", step["text"])
    context = _context(certification) | {"steps": steps, "error": error}
    return render(request, "review/revise.html", context, status=UNPROCESSABLE if error else 200)


def is_waiting(certification: Certification) -> bool:
    return certification.is_current and certification.outcome in OUTCOMES


def _page(
    request: HttpRequest, certification: Certification, errors: dict[str, list[str]] | None = None
) -> HttpResponse:
    user, errors = user_of(request), errors or {}
    record_reveals(rater=user, cases=[certification.version.narrative.case])
    wrote_it = user.pk in author_ids(certification.version)
    acceptable = certification.outcome == Certification.Outcome.ADJUDICATION
    parent, case = certification.version.parent, certification.version.narrative.case
    columns = columns_of(certification)
    steps = marks_of(certification, columns)
    disputes = disputes_of(certification)
    entered = request.POST.dict()
    context = _context(certification) | {
        "columns": columns,
        "rows": rows_of(certification, columns, entered, errors),
        "steps": steps,
        "pointed": pointed_images(steps),
        "disputes": disputes,
        "open_disputes": [entry for entry in disputes if not entry["dispute"].outcome],
        "entered": entered,
        "errors": errors,
        "problems": errors.get("", []),
        "changes": word_diff(parent.text, certification.version.text) if parent else [],
        "is_waiting": is_waiting(certification),
        "may_decide": user.is_adjudicator and is_waiting(certification) and not wrote_it,
        "may_revise": user.is_adjudicator and is_waiting(certification),
        "wrote_it": wrote_it,
        "acceptable": acceptable,
        "images": image_urls(case),
        "chips": context_chips(case),
        **choices_of(acceptable=acceptable),
    }
    return render(request, "review/detail.html", context, status=UNPROCESSABLE if errors else 200)


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
        "study",
        "policy",
        "adjudication",
        "version__parent",
        "version__narrative__case__source",
        "version__narrative__case__group",
    ).prefetch_related("version__narrative__case__images", "adjudication__scores")
    return get_object_or_404(found, public_id=public_id)


def _next(certification: Certification) -> HttpResponse:
    """The next one that waits, the desk when none does."""
    following = waiting().exclude(pk=certification.pk).first()
    return redirect("review:detail", following.public_id) if following else redirect("review:list")
