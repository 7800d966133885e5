"""Runs: what is asked for, how far it is, how it ended; cancel and try again."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from modelhub.models import Run
from modelhub.services.runs import request_cancel, retry_run
from modelhub.views.access import administrator_action, staff_page
from modelhub.views.refusals import show_refusal
from modelhub.views.run_bodies import body_of
from scoring.services.reveals import record_reveals

PER_PAGE = 30
NAMES_REFERENCES = {Run.Kind.GENERATION, Run.Kind.DRAFTING}  # their rows stand beside the reference


@staff_page
def run_list(request: HttpRequest) -> HttpResponse:
    kind, state = request.GET.get("kind", ""), request.GET.get("state", "")
    runs = Run.objects.select_related("created_by").order_by("-created_at", "-pk")
    # statistics are housekeeping: shown when asked for by their kind
    runs = runs.filter(kind=kind) if kind in Run.Kind.values else runs.exclude(kind=Run.Kind.STATISTICS)
    if state == "active":
        runs = runs.active()
    elif state in Run.State.values:
        runs = runs.filter(state=state)
    page = Paginator(runs, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page,
        "any_active": any(run.is_active for run in page),
        "kinds": Run.Kind.choices,
        "states": [("active", _("Waiting or running")), *Run.State.choices],
        "kind": kind,
        "state": state,
    }
    return render(request, _template(request, "run_list", "run_rows"), context)


@staff_page
def run_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    run = get_object_or_404(Run.objects.select_related("created_by"), public_id=public_id)
    template, body = body_of(run, request.GET.get("page"))
    if run.kind in NAMES_REFERENCES:
        record_reveals(rater=request.user, cases=[row.case for row in body["page_obj"]])
    context = {"run": run, "body": template, **body}
    return render(request, _template(request, "run_detail", "run_live"), context)


@administrator_action
def run_cancel(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    run = get_object_or_404(Run, public_id=public_id)
    try:
        run = request_cancel(run=run, actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
    else:
        stopped = run.state == Run.State.CANCELLED
        messages.success(request, _("The run is cancelled.") if stopped else _("The run stops after its current step."))
    return redirect("modelhub:run_detail", public_id)


@administrator_action
def run_retry(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    run = get_object_or_404(Run, public_id=public_id)
    try:
        retry_run(run=run, actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("The run is queued again. What it had finished stays finished."))
    return redirect("modelhub:run_detail", public_id)


def _template(request: HttpRequest, page: str, partial: str) -> str:
    """An htmx request gets the part that changes, everybody else the page around it."""
    return f"modelhub/partials/{partial}.html" if getattr(request, "htmx", False) else f"modelhub/{page}.html"
