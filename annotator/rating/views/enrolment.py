"""Consent before the first case, and the way out."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.rating.door import rater_page
from annotator.rating.forms import StatementForm
from annotator.rating.views.queue import own_enrolment
from scoring.models import Enrolment, InformationSheet
from scoring.services.studies import accept_sheet, withdraw


@rater_page
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: HttpRequest, study: uuid.UUID) -> HttpResponse:
    """The study's information sheet and her statement; accepting opens the queue."""
    enrolment = own_enrolment(request.user, study)
    if enrolment.may_rate:
        return redirect("rating:study", study=study)
    sheet = enrolment.study.sheets.first()
    if sheet is None:
        raise Http404("This study has no information sheet.")
    if request.method == "POST" and "decline" in request.POST:
        messages.info(request, _("You have not accepted, and nothing was recorded. You may still accept later."))
        return redirect("rating:mine")
    form = StatementForm.from_profile(request.user)
    if request.method == "POST":
        form = StatementForm(request.POST)
        if form.is_valid() and _accepted(request, enrolment, sheet, form):
            return redirect("rating:study", study=study)
    context = {"study": enrolment.study, "sheet": sheet, "form": form}
    return render(request, "rating/consent.html", context, status=422 if form.errors else 200)


def _accepted(request: HttpRequest, enrolment: Enrolment, sheet: InformationSheet, form: StatementForm) -> bool:
    version = request.POST.get("sheet_version", "")
    try:
        accept_sheet(
            study=enrolment.study,
            rater=request.user,
            sheet_version=int(version) if version.isdecimal() else 0,
            **form.statement(),
        )
    except ValidationError as refused:
        form.add_error(None, refused.messages)
        return False
    return True


@rater_page
@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest, study: uuid.UUID) -> HttpResponse:
    """Asks once, then withdraws her from the study."""
    enrolment = own_enrolment(request.user, study)
    if request.method == "POST":
        try:
            withdraw(study=enrolment.study, rater=request.user)
        except ValidationError as refused:
            messages.error(request, refused.messages[0])
        else:
            words = _("You have withdrawn from “%(study)s”. What you submitted stays.")
            messages.success(request, words % {"study": enrolment.study})
        return redirect("rating:mine")
    return render(request, "rating/withdraw.html", {"study": enrolment.study})
