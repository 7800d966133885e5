"""Studies: list, detail, drafting."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.study.changes import amendment_changes
from annotator.study.forms import InviteForm, ProtocolForm
from scoring.models import Enrolment, Study, UrgentNotice
from scoring.pseudonym import pseudonym
from scoring.rubric import dimensions_in
from scoring.services.drafts import update_draft
from scoring.services.studies import create_study

STATE_BADGES = {"draft": "", "running": "ok", "paused": "warn", "closed": "info"}


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def study_list(request: HttpRequest) -> HttpResponse:
    taking_part = Q(enrolments__accepted_at__isnull=False, enrolments__withdrawn_at__isnull=True)
    shown = Study.objects.annotate(raters=Count("enrolments", filter=taking_part)).order_by("-pk")
    rows = [{"study": study, "badge": STATE_BADGES[study.state]} for study in shown]
    context = {"rows": rows, "may_edit": user_of(request).is_administrator, "urgent": urgent_waiting()}
    return render(request, "study/list.html", context)


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    return render(request, "study/detail.html", detail_context(request, study))


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def create(request: HttpRequest) -> HttpResponse:
    form = ProtocolForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            study = create_study(actor=user_of(request), thresholds=form.thresholds(), **form.settings())
        except ValidationError as refused:
            add_refusal(form, refused)
        else:
            return redirect("study:detail", study.public_id)
    context = {"form": form, "heading": _("New study")}
    return render(request, "study/form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def edit(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    form = ProtocolForm(request.POST or None, instance=study)
    if request.method == "POST" and form.is_valid():
        try:
            update_draft(study=study, actor=user_of(request), changes=form.settings(), thresholds=form.thresholds())
        except ValidationError as refused:
            add_refusal(form, refused)
        else:
            return redirect("study:detail", study.public_id)
    context = {"form": form, "study": study, "heading": _("Edit the draft")}
    return render(request, "study/form.html", context, status=422 if form.errors else 200)


def urgent_waiting() -> int:
    return UrgentNotice.objects.filter(answered_at=None).count()


def find_study(public_id: uuid.UUID) -> Study:
    return get_object_or_404(Study.objects.select_related("rubric", "policy", "started_by"), public_id=public_id)


def detail_context(request: HttpRequest, study: Study) -> dict[str, Any]:
    user = user_of(request)
    amendments = [
        {"amendment": amendment, "changes": amendment_changes(amendment)} for amendment in study.amendments.all()
    ]
    return {
        "study": study,
        "urgent": urgent_waiting(),
        "badge": STATE_BADGES[study.state],
        "sheets": list(study.sheets.all()),
        "amendments": amendments,
        "raters": rater_rows(study, named=user.is_administrator),
        "invite_form": InviteForm(study=study),
        "may_edit": user.is_administrator,
        "dimensions": dimensions_in(get_language()),
    }


def rater_rows(study: Study, *, named: bool) -> list[dict[str, Any]]:
    """Enrolments with consent state and submitted ratings; by name for administrators only."""
    live = Q(rater__ratings__study=study, rater__ratings__is_current=True, rater__ratings__purpose="live")
    enrolments = study.enrolments.select_related("rater", "sheet").annotate(rated=Count("rater__ratings", filter=live))
    rows = []
    for enrolment in enrolments.order_by("pk"):
        alias = pseudonym(study.public_id, enrolment.rater.public_id)
        name = enrolment.rater.display_name if named else alias
        rows.append({"name": name, "enrolment": enrolment, "state": consent_state(enrolment), "rated": enrolment.rated})
    return rows if named else sorted(rows, key=lambda row: row["name"])


def consent_state(enrolment: Enrolment) -> tuple[str, str]:
    if enrolment.excluded_at is not None:
        return _("Excluded"), "bad"
    if enrolment.withdrawn_at is not None:
        return _("Withdrawn"), "warn"
    if enrolment.accepted_at is None:
        return _("Invited"), ""
    return _("Consented"), "ok"


def add_refusal(form: BaseForm, refused: ValidationError) -> None:
    """The service's sentences, each at its field where the form has that field."""
    if not hasattr(refused, "error_dict"):
        form.add_error(None, refused)
        return
    for name, errors in refused.message_dict.items():
        form.add_error(name if name in form.fields else None, errors)
