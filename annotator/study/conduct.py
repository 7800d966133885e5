"""Conducting a study: start, amend, pause, close; inviting raters, information sheets."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from annotator.accounts.roles import ADMINISTRATOR, role_required
from annotator.accounts.signed_in import user_of
from annotator.study.forms import AmendmentForm, InviteForm, SheetForm
from annotator.study.views import add_refusal, find_study
from scoring.models import Study
from scoring.services.amendments import amend_study
from scoring.services.studies import add_sheet, invite_rater, set_study_state, start_study

CONFIRMATIONS = {
    Study.State.RUNNING.value: (gettext_lazy("Resume the study"), gettext_lazy("Raters can take narratives again.")),
    Study.State.PAUSED.value: (
        gettext_lazy("Pause the study"),
        gettext_lazy("Raters get no further narrative until you resume it."),
    ),
    Study.State.CLOSED.value: (
        gettext_lazy("Close the study"),
        gettext_lazy("Nobody can rate in it any more. A closed study is never reopened."),
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def start(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    error = ""
    if request.method == "POST":
        try:
            start_study(study=study, actor=user_of(request))
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            messages.success(request, _("The study runs. Its protocol is locked; later changes are amendments."))
            return redirect("study:detail", study.public_id)
    context = {
        "study": study,
        "error": error,
        "heading": _("Start the study"),
        "sentence": _(
            "The protocol is locked, dated and hashed. Later changes are amendments with a reason; the rubric, "
            "the number of ratings, the order and the seed cannot be changed any more."
        ),
    }
    return render(request, "study/confirm.html", context, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def change_state(request: HttpRequest, public_id: uuid.UUID, state: str) -> HttpResponse:
    study = find_study(public_id)
    if state not in CONFIRMATIONS:
        messages.error(request, _("A study can be paused, resumed or closed."))
        return redirect("study:detail", study.public_id)
    error = ""
    if request.method == "POST":
        try:
            set_study_state(study=study, actor=user_of(request), state=state)
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            return redirect("study:detail", study.public_id)
    heading, sentence = CONFIRMATIONS[state]
    context = {"study": study, "error": error, "heading": heading, "sentence": sentence}
    return render(request, "study/confirm.html", context, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def amend(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    form = AmendmentForm(request.POST or None, instance=study)
    if request.method == "POST" and form.is_valid():
        try:
            amendment = amend_study(
                study=study,
                actor=user_of(request),
                reason=form.cleaned_data["reason"],
                changes=form.settings(),
                thresholds=form.thresholds(),
            )
        except ValidationError as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, _("Amendment %(number)s is recorded.") % {"number": amendment.number})
            return redirect("study:detail", study.public_id)
    context = {"form": form, "study": study, "heading": _("Amend the study")}
    return render(request, "study/form.html", context, status=422 if form.errors else 200)


@require_POST
@role_required(ADMINISTRATOR)
def invite(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    form = InviteForm(request.POST, study=study)
    if form.is_valid():
        rater = form.cleaned_data["rater"]
        invite_rater(study=study, rater=rater, actor=user_of(request))
        words = _("%(name)s is invited. She rates once she has accepted the sheet.")
        messages.success(request, words % {"name": rater.display_name})
    else:
        messages.error(request, _("Choose a dermatologist who is not in the study yet."))
    return redirect("study:detail", study.public_id)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def new_sheet(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    newest = study.sheets.first()
    form = SheetForm(request.POST or None, initial={"text": newest.text if newest else ""})
    if request.method == "POST" and form.is_valid():
        if newest is not None and newest.text == form.cleaned_data["text"]:
            form.add_error("text", _("Nothing was changed."))
        else:
            sheet = add_sheet(study=study, text=form.cleaned_data["text"], actor=user_of(request))
            words = _("Version %(number)s of the information sheet is in force.")
            messages.success(request, words % {"number": sheet.version})
            return redirect("study:detail", study.public_id)
    heading = _("New information sheet") if newest else _("Information sheet")
    context = {"form": form, "study": study, "heading": heading}
    return render(request, "study/form.html", context, status=422 if form.errors else 200)
