"""Evaluators: who they are, what they cost, how well they read and agree with physicians; starting an evaluation."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from modelhub.forms.evaluators import EvaluationForm, JudgeForm, PoorNarrativesForm, TermsForm
from modelhub.models import Evaluation, EvaluatorVersion, ModelVersion
from modelhub.services.evaluating import request_evaluation
from modelhub.services.judges import change_terms, register_judge
from modelhub.services.poor_narratives import add_poor_narratives
from modelhub.views.access import administrator_action, administrator_form, staff_form, staff_page
from modelhub.views.calibration import calibration_table, canary_rows
from modelhub.views.refusals import add_refusal, show_refusal
from modelhub.views.start import Missing, start_page

PER_PAGE, RUNS_SHOWN = 30, 20


@staff_page
def evaluator_list(request: HttpRequest) -> HttpResponse:
    rows = EvaluatorVersion.objects.select_related("model", "rubric").annotate(
        judged=Count("evaluations"), unread=Count("evaluations", filter=Q(evaluations__parse_status="failed"))
    )
    page = Paginator(rows.order_by("-created_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "modelhub/evaluator_list.html", {"page_obj": page})


@staff_page
def evaluator_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    related = EvaluatorVersion.objects.select_related("model", "rubric", "prompt", "diagnosis_prompt", "created_by")
    row = get_object_or_404(related, public_id=public_id)
    states = dict(row.evaluations.values_list("parse_status").annotate(n=Count("pk")))
    total = sum(states.values())
    context = {
        "evaluator": row,
        "total": total,
        "states": [
            (label, n, 100 * n / total) for value, label in Evaluation.Parse.choices if (n := states.get(value))
        ],
        "canaries": canary_rows(row.canaries),
        "calibration": calibration_table(row.calibration),
        "runs": row.runs.select_related("run").order_by("-pk")[:RUNS_SHOWN],
        "terms": TermsForm(initial=row.terms) if row.is_judge else None,
    }
    return render(request, "modelhub/evaluator_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def evaluator_register(request: HttpRequest) -> HttpResponse:
    form = JudgeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = register_judge(actor=request.user, **form.judge())
        except ValidationError as error:
            add_refusal(form, error)
        else:
            words = _("“%(name)s” is registered. Its canaries are tried when it is first used.")
            messages.success(request, words % {"name": row.name})
            return redirect("modelhub:evaluator_detail", row.public_id)
    context = {"form": form, "missing": missing_for_judge()}
    return render(request, "modelhub/evaluator_register.html", context, status=422 if form.errors else 200)


def missing_for_judge() -> Missing | None:
    if ModelVersion.objects.filter(kind=ModelVersion.Kind.ENDPOINT).exists():
        return None
    return Missing(
        _("No model on a server is registered"),
        _("A judge is a language model on an OpenAI-compatible server. Register one on the command line first."),
        command="python manage.py register_endpoint --name NAME --model MODEL --family FAMILY ADDRESS",
    )


@administrator_action
def evaluator_terms(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    row = get_object_or_404(EvaluatorVersion.objects.filter(provider="judge"), public_id=public_id)
    form = TermsForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([error for errors in form.errors.values() for error in errors])
        change_terms(evaluator=row, terms=form.terms(), actor=request.user)
    except ValidationError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("The limits are changed. A run that they stopped can be tried again."))
    return redirect("modelhub:evaluator_detail", public_id)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_form
def evaluation_start(request: HttpRequest) -> HttpResponse:
    return start_page(
        request,
        EvaluationForm(request.POST or None, initial=request.GET.dict()),
        request_evaluation,
        template="modelhub/evaluation_start.html",
        queued=_("The evaluation is queued."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def poor_narratives(request: HttpRequest) -> HttpResponse:
    """Adds narratives that were made worse on purpose to a study."""
    form = PoorNarrativesForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = add_poor_narratives(actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            words = ngettext(
                "%(n)s poor narrative was made and queued.", "%(n)s poor narratives were made and queued.", made.total
            )
            messages.success(request, words % {"n": made.total})
            return redirect("study:detail", form.cleaned_data["study"].public_id)
    return render(request, "modelhub/poor_narratives.html", {"form": form}, status=422 if form.errors else 200)
