"""The recorded ablation: what certified narratives and visual distillation add, as a bench measured it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

import modelhub
from modelhub.views.access import staff_page
from modelhub.views.results import DIAGNOSIS, OVERALL, Figure, figure, result_table

RECORD = Path(modelhub.__file__).parent / "ml" / "weights" / "tiny" / "ablation.json"
COMMAND = "make bench-ablation ARGS=--full"
GROUPS = {"all": _("Every skin tone"), "light": _("Light skin"), "medium": _("Medium skin"), "dark": _("Dark skin")}


@dataclass(frozen=True)
class ArmRow:
    """One way to fine-tune: right diagnoses in per cent, mean of six dimensions, each with the paired difference to the
    base (None for the base itself)."""

    name: str
    diagnosis: Figure | None
    diagnosis_gain: Figure | None
    overall: Figure | None
    overall_gain: Figure | None


@staff_page
def ablation(request: HttpRequest) -> HttpResponse:
    record = read_record()
    if record is None:
        return render(request, "modelhub/ablation.html", {"command": COMMAND})
    results = record["results"]
    groups = [(name, arm_rows(results[key])) for key, name in GROUPS.items() if key in results]
    table = result_table(results["all"], right=request.GET.get("against", ""))
    names = {arm["key"]: arm["name"] for arm in record["arms"]}
    seeds = [(names[arm], list(means.values())) for arm, means in record["per_seed"].items()]
    context = {"record": record, "groups": groups, "table": table, "seeds": seeds, "alone": teacher_alone(results)}
    return render(request, "modelhub/ablation.html", context)


def read_record() -> dict[str, Any] | None:
    """What `python -m bench.ablation --full` wrote; None where it was never run."""
    if not RECORD.exists():
        return None
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def arm_rows(results: Mapping[str, Any]) -> list[ArmRow]:
    base = results["models"][0]["model"]
    gains = {pair["right"]: pair for pair in results["pairs"] if pair["left"] == base}
    return [
        ArmRow(
            model["name"],
            figure(model, DIAGNOSIS),
            figure(gains.get(model["model"]), DIAGNOSIS),
            figure(model, OVERALL),
            figure(gains.get(model["model"]), OVERALL),
        )
        for model in results["models"]
    ]


def teacher_alone(results: Mapping[str, Any]) -> list[tuple[str, Figure | None, Figure | None]]:
    """Per group of cases what the teacher adds to the same recipe without it: right diagnoses, mean of six."""
    found = []
    for key, name in GROUPS.items():
        pairs = results.get(key, {}).get("pairs", [])
        pair = next((pair for pair in pairs if pair["left"] == "both_no_teacher" and pair["right"] == "both"), None)
        if pair is not None:
            found.append((str(name), figure(pair, DIAGNOSIS), figure(pair, OVERALL)))
    return found
