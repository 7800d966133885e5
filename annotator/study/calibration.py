"""A study's calibration: its examples with agreed scores, the levels they still lack, and the gate."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.rating.narrative import image_urls, narrative_context
from annotator.study.forms import ExampleForm, GateForm
from annotator.study.views import add_refusal, find_study
from scoring.models import CalibrationExample, Case, NarrativeVersion, Study
from scoring.rubric import dimension_names
from scoring.services.amendments import amend_study
from scoring.services.drafts import update_draft
from scoring.services.examples import Role, add_example, lenient_kappa, missing_levels, retire_example
from scoring.services.reveals import record_reveals

UNPROCESSABLE = 422


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def calibration(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    return render(request, "study/calibration.html", _context(request, study, GateForm(study=study)))


@require_POST
@role_required(ADMINISTRATOR)
def gate(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Sets the gate: in a draft at once, in a started study as an amendment with its reason."""
    study = find_study(public_id)
    form = GateForm(request.POST, study=study)
    if form.is_valid():
        changes = {"gate_kappa": form.cleaned_data["gate_kappa"]}
        try:
            if study.state == Study.State.DRAFT:
                update_draft(study=study, actor=user_of(request), changes=changes)
            else:
                amend_study(study=study, actor=user_of(request), reason=form.cleaned_data["reason"], changes=changes)
        except ValidationError as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, _("The gate is set."))
            return redirect("study:calibration", study.public_id)
    return render(request, "study/calibration.html", _context(request, study, form), status=UNPROCESSABLE)


def _context(request: HttpRequest, study: Study, form: GateForm) -> dict[str, Any]:
    found = CalibrationExample.objects.filter(rubric=study.rubric_id).select_related("version__narrative__case")
    examples = list(found.order_by("retired_at", "role", "pk"))
    gate_examples = [one for one in examples if one.role == Role.GATE and one.retired_at is None]
    gaps = missing_levels(gate_examples)
    names = dimension_names(get_language())
    return {
        "study": study,
        "may_edit": user_of(request).is_administrator,
        "may_set_gate": user_of(request).is_administrator and study.state != Study.State.CLOSED,
        "form": form,
        "examples": [{"one": one, "scores": [one.scores[key] for key in names]} for one in examples],
        "dimensions": list(names.values()),
        "gaps": [(names[key], ", ".join(map(str, levels))) for key, levels in gaps.items()],
        "lenient": lenient_kappa(gate_examples) if gate_examples else None,
        **_found_versions(request),
    }


def _found_versions(request: HttpRequest) -> dict[str, Any]:
    """The texts about the case whose code was asked for."""
    code = request.GET.get("case", "").strip().lower()
    if not code:
        return {"asked": "", "versions": []}
    prefix = "".join(sign for sign in code if sign in "0123456789abcdef")[:8]
    low, high = (uuid.UUID(prefix.ljust(32, fill)) for fill in "0f")
    cases = Case.objects.filter(public_id__range=(low, high)) if prefix else Case.objects.none()
    versions = NarrativeVersion.objects.filter(narrative__case__in=cases).select_related("narrative__case")
    return {"asked": code.upper(), "versions": list(versions.order_by("narrative", "number")[:50])}


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def new_example(request: HttpRequest, public_id: uuid.UUID, version: uuid.UUID) -> HttpResponse:
    """The agreed scores of a text, and why: what the example is for decides who sees them when."""
    study = find_study(public_id)
    found = NarrativeVersion.objects.select_related("narrative__case")
    text = get_object_or_404(found, public_id=version)
    record_reveals(rater=user_of(request), cases=[text.narrative.case])
    form = ExampleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            add_example(
                rubric=study.rubric,
                version=text,
                role=form.cleaned_data["role"],
                scores=form.scores(),
                explanations=form.explanations(),
                actor=user_of(request),
            )
        except ValidationError as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, _("The example is kept with its agreed scores."))
            return redirect("study:calibration", study.public_id)
    context = {
        "study": study,
        "form": form,
        "case": text.narrative.case,
        "images": image_urls(text.narrative.case),
        **narrative_context(text, {}),
    }
    return render(request, "study/example.html", context, status=UNPROCESSABLE if form.errors else 200)


@require_POST
@role_required(ADMINISTRATOR)
def retire(request: HttpRequest, public_id: uuid.UUID, example: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    try:
        retire_example(
            example=get_object_or_404(CalibrationExample, public_id=example, rubric=study.rubric_id),
            actor=user_of(request),
        )
    except ValidationError as refused:
        messages.error(request, refused.messages[0])
    else:
        messages.success(request, _("The example is used no more. Rounds that had it keep it."))
    return redirect("study:calibration", study.public_id)
