"""Drafting DermCoT: choose, see what the run would do, start it; one draft with all its stages; let a text pass."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.drafting import DraftingForm
from modelhub.models import Draft, ModelVersion
from modelhub.services.drafting import pass_leak, plan_drafting, request_drafting
from modelhub.views.access import administrator_action, administrator_form, staff_page
from modelhub.views.drafting_run import stage_columns
from modelhub.views.refusals import add_refusal, show_refusal
from scoring.services.reveals import record_reveals

CHECK = "check"
TEMPLATE = "modelhub/draft_start.html"


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def draft_start(request: HttpRequest) -> HttpResponse:
    """GET with ``check`` shows the plan; POST starts it with the same fields."""
    if request.method == "POST":
        return _start(request)
    if CHECK not in request.GET:
        known = ("model", "split", "source", "tone", "study", "conditioning")
        form = DraftingForm(initial={name: request.GET[name] for name in known if name in request.GET})
        return render(request, TEMPLATE, {"form": form, "has_models": ModelVersion.objects.exists()})
    form = DraftingForm(request.GET)
    return render(request, TEMPLATE, {"form": form, "has_models": True, "plan": _plan(form)})


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


def _plan(form: DraftingForm) -> dict[str, Any] | None:
    if not form.is_valid():
        return None
    try:
        plan = plan_drafting(**form.chosen())
    except ValidationError as error:
        add_refusal(form, error)
        return None
    return plan | {"startable": plan["cases"] > 0 and not plan["refused"]}


def _start(request: HttpRequest) -> HttpResponse:
    form = DraftingForm(request.POST)
    plan = _plan(form)
    if plan is not None:
        promised = request.POST.get("promised")
        if promised is not None and promised != str(plan["cases"]):
            form.add_error(None, _("The cases have changed since you looked. This is what the run would do now."))
            return render(request, TEMPLATE, {"form": form, "has_models": True, "plan": plan})
        try:
            run = request_drafting(**form.chosen(), actor=request.user)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("The run is queued."))
            return redirect("modelhub:run_detail", run.public_id)
    return render(request, TEMPLATE, {"form": form, "has_models": True}, status=422)
