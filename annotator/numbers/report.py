"""The study report: power before, the flow from sampled to analysed after, and everything in one ZIP."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.study.views import find_study, rater_rows
from modelhub.services.exports import newest_study_export, request_study_export
from scoring.agreement.power import power_table
from scoring.agreement.table import OVERALL
from scoring.exporters.study_report import methods_text
from scoring.models import Agreement, NarrativeVersion, Study
from scoring.rubric import DIMENSION_KEYS, dimensions_in
from scoring.services.agreement import GROUPS
from scoring.services.study_flow import study_flow

RATERS, CASES = (1, 2, 3, 5), (20, 40, 100, 200, 500)
PLANNED = {"difference": 0.3, "between_texts": 0.8, "rest": 0.6}
ORIGINS = dict(NarrativeVersion.Origin.choices)


class PowerForm(forms.Form):
    """In rubric points."""

    difference = forms.FloatField(min_value=0.01, max_value=5, label=_("Difference to be found"))
    between_texts = forms.FloatField(min_value=0, max_value=5, label=_("Spread of narratives"))
    rest = forms.FloatField(min_value=0.01, max_value=5, label=_("Spread of one rater's scores of one narrative"))


@never_cache
@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def report(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    stored = _stored(study)
    planned = _planned(stored)
    form = PowerForm(request.GET if "difference" in request.GET else planned)
    context = {
        "study": study,
        "artifact": newest_study_export(study),
        "flow": study_flow(study),
        "groups": _groups(stored),
        "dimensions": dimensions_in(request.LANGUAGE_CODE),
        "raters": rater_rows(study, named=user_of(request).is_administrator),
        "amendments": list(study.amendments.all()),
        "methods": methods_text(study),
        "form": form,
        "power": _power(form) if form.is_valid() else None,
        "cases": CASES,
        "from_pilot": planned is not PLANNED,
    }
    return render(request, "numbers/report.html", context, status=422 if form.errors else 200)


@require_POST
@role_required(ADMINISTRATOR, RESEARCHER)
def report_file(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Queue the ZIP; its run's page has the download."""
    study = find_study(public_id)
    run = request_study_export(study=study, actor=request.user)
    messages.success(request, _("The data of this study are being written; the download appears here."))
    return redirect("modelhub:run_detail", run.public_id)


def _stored(study: Study) -> dict[str, Any]:
    """The groups' figures under the newest rubric version; empty before a worker has computed them."""
    newest = Agreement.objects.filter(study=study).defer("columns").order_by("-rubric__number").first()
    return newest.slow_parts.get(GROUPS, {}) if newest else {}


def _planned(stored: dict[str, Any]) -> dict[str, float]:
    """What this study's own scores say of their spread, else a plain guess."""
    found = stored.get("spreads", {})
    if found.get("texts") is None or not found.get("rest"):
        return PLANNED
    return {
        "difference": PLANNED["difference"],
        "between_texts": round(found["texts"], 2),
        "rest": max(0.01, round(found["rest"], 2)),
    }


def _power(form: PowerForm) -> list[dict[str, Any]]:
    table = power_table(**form.cleaned_data, raters=RATERS, cases=CASES)
    return [
        {
            "raters": k,
            "cells": [
                {"percent": round(100 * power), "smallest": smallest}
                for power, smallest in zip(table.power[i], table.smallest[i], strict=True)
            ],
        }
        for i, k in enumerate(table.raters)
    ]


def _groups(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Results by language and by edited or not, one table each."""
    tables: tuple[tuple[Any, Any, str, dict[str, Any]], ...] = (
        (_("Results by language"), _("Language"), "by_language", {}),
        (_("Results by edited and unedited text"), _("Text"), "by_origin", ORIGINS),
    )
    return [
        {
            "title": title,
            "heading": heading,
            "rows": [
                {
                    "name": words.get(row["group"], row["group"]),
                    "texts": row["texts"],
                    "ratings": row["ratings"],
                    "cells": [row["means"][name] for name in (*DIMENSION_KEYS, OVERALL)],
                }
                for row in stored.get(key, [])
            ],
        }
        for title, heading, key, words in tables
        if stored.get(key)
    ]
