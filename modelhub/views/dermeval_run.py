"""What the page of a DermEval training shows: curves of both stages, each with a table twin."""

from typing import Any

from django.utils.translation import gettext as _

from modelhub.charts import curve_chart
from modelhub.models import DermEvalTraining, EvaluatorVersion, Run
from modelhub.services.dermeval import readings_of_each
from modelhub.views.results import row_names
from scoring.rubric import DIMENSION_KEYS

MOST_POINTS, TABLE_POINTS = 400, 25
TERMS = {"sft": ("loss",), "rl": ("reward", "baseline", "parse_rate", "loss")}


def words_of(stage: str, term: str) -> str:
    names = {
        "loss": _("loss"),
        "reward": _("reward (−squared points)"),
        "baseline": _("moving baseline"),
        "parse_rate": _("share of scores read"),
    }
    return f"{stage_name(stage)}: {names[term]}"


def stage_name(stage: str) -> str:
    return {"sft": _("Supervised"), "rl": "REINFORCE"}[stage]


def dermeval_body(run: Run, settings: Any, thin: Any) -> dict[str, Any]:
    """``settings`` and ``thin``: how the other runs' pages write settings and shorten curves."""
    found = DermEvalTraining.objects.filter(run=run).select_related("base", "study", "rubric").first()
    if found is None:
        return {"training": None}
    charts, tables = [], []
    for stage, terms in TERMS.items():
        curve = found.curves.get(stage, [])
        if not curve:
            continue
        for term in terms:
            points = [(float(point["step"]), float(point[term])) for point in thin(curve, MOST_POINTS)]
            charts.append({"name": words_of(stage, term), "chart": curve_chart(points), "last": points[-1][1]})
        rows = [
            {"step": point["step"], "values": [point[term] for term in terms]} for point in thin(curve, TABLE_POINTS)
        ]
        heads = [words_of(stage, term) for term in terms]
        tables.append({"key": stage, "name": stage_name(stage), "heads": heads, "rows": rows})
    made = EvaluatorVersion.objects.filter(provider="dermeval", identity__training=str(run.public_id)).order_by("pk")
    evaluators = [{"stage": stage_name(row.identity["stage"]), "row": row} for row in made]
    return {
        "training": found,
        "charts": charts,
        "tables": tables,
        "evaluators": evaluators,
        "readings": readings_of_each(found.settings, run.plan["ratings"]),
        "fitted": found.settings.get("reading") == "fitted",
        "lines": [stage_lines(stage, made["lines"]) for stage, made in found.adapters.items()],
        "settings": settings(found.settings),
    }


def stage_lines(stage: str, lines: dict[str, Any]) -> dict[str, Any]:
    """The lines of a stage's fitted reading, a row per dimension; ``line`` is None where there is none."""
    names = row_names()
    rows = [{"name": names[key], "line": lines["lines"][key]} for key in DIMENSION_KEYS]
    return {"name": stage_name(stage), "cases": lines["cases"], "narratives": lines["narratives"], "rows": rows}
