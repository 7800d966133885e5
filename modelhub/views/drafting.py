"""Drafting DermCoT: choose, see what the run would do, start it; one draft with all its stages; let a text pass."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.drafting import DraftingForm
from modelhub.models import Draft
from modelhub.services.drafting import pass_leak, plan_drafting, request_drafting
from modelhub.views.access import administrator_action, administrator_form, staff_page
from modelhub.views.drafting_run import stage_columns
from modelhub.views.refusals import show_refusal
from modelhub.views.start import planned_page
from scoring.services.reveals import record_reveals


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def draft_start(request: HttpRequest) -> HttpResponse:
    return planned_page(
        request,
        DraftingForm,
        plan=plan_drafting,
        service=request_drafting,
        template="modelhub/draft_start.html",
    )


@staff_page
def draft_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The stages of one case side by side, with the words that asked for them and their flags."""
    related = ("drafting__run", "drafting__model__base", "drafting__study", "case", "version__narrative")
    draft = get_object_or_404(Draft.objects.select_related(*related), public_id=public_id)
    record_reveals(rater=request.user, cases=[draft.case])
    context = {"draft": draft, "drafting": draft.drafting, "columns": stage_columns(draft)}
    return render(request, "modelhub/draft_detail.html", context)


@administrator_action
def draft_pass(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    draft = get_object_or_404(Draft, public_id=public_id)
    try:
        pass_leak(draft=draft, note=request.POST.get("note", ""), actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("The text may pass. The run goes on with it."))
    return redirect("modelhub:draft_detail", public_id)
