"""Stored figures about evaluators as the rows of tables; nothing is computed here but words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from modelhub.charts import CalibrationChart, calibration_chart
from modelhub.models import EvaluationEntry, EvaluationRun, PoorNarrative, Run
from modelhub.views.results import Figure, row_names
from scoring.rubric import DIMENSION_KEYS

COLUMNS = ("bias", "mae", "constant_mae", "skill", "spearman", "kappa", "within_one")
SHOWN_FAILURES = 50
STRATA = {
    "condition": (_("By condition"), _("Condition")),
    "skin_tone": (_("By skin tone"), _("Skin tone and its scale")),
    "source": (_("By source"), _("Source")),
    "made": (_("By how the text was made"), _("Text")),
}
WATCHED = {"bias": _("Bias"), "mae": _("Mean error"), "skill": _("Skill over the constant")}


@dataclass(frozen=True)
class CalibrationRow:
    """One dimension: the figures in the order of ``COLUMNS``, then what a correction leaves (mean error and skill)."""

    name: str
    n: int
    clusters: int
    reason: str
    figures: tuple[Figure, ...]
    linear: tuple[Figure, ...]
    isotonic: tuple[Figure, ...]
    curve: list[dict[str, Any]]
    chart: CalibrationChart | None
    parse: Figure
    retest: dict[str, Any]


def calibration_table(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``None`` before anybody computed it."""
    if not found:
        return None
    rows = [_row(key, found) for key in DIMENSION_KEYS]
    return {
        **{name: found[name] for name in ("texts", "ratings", "simulated", "learned_from")},
        "rows": rows,
        "groups": [_group(by, found["groups"][by]) for by in STRATA],
        "retest": found["retest"],
        "former": _former(found["former"]),
    }


def _group(by: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One table: the parts that have enough texts with a row per dimension, the others by name and number."""
    title, heading = STRATA[by]
    told: list[dict[str, Any]] = []
    few: list[dict[str, Any]] = []
    for part in parts:
        name = _part_name(by, part)
        known = [key for key in DIMENSION_KEYS if not part["dimensions"][key]["reason"]]
        if not known:
            few.append({"name": name, "n": part["n"]})
        else:
            told.append({"name": name, "rows": [_part_row(key, part["dimensions"][key]) for key in DIMENSION_KEYS]})
    return {"by": by, "title": title, "heading": heading, "parts": told, "few": few}


def _part_name(by: str, part: Mapping[str, Any]) -> str:
    if by == "made":
        return str(dict(PoorNarrative.Kind.choices).get(part["value"], _("As it was written")))
    if not part["value"]:
        return str(_("Not recorded"))
    return f"{part['scale']}: {part['value']}" if part["scale"] else str(part["value"])


def _part_row(key: str, one: Mapping[str, Any]) -> dict[str, Any]:
    figures = () if one["reason"] else tuple(_figure(one[column], one["n"]) for column in COLUMNS)
    return {"name": row_names()[key], "n": one["n"], "figures": figures}


def _former(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    words = [
        {**alarm, "name": row_names()[alarm["dimension"]], "words": WATCHED[alarm["figure"]]}
        for alarm in found["alarms"]
    ]
    return {**found, "alarms": words}


def canary_rows(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {**found, "styles": list(found["by_style"].items())} if found else None


def evaluation_body(run: Run) -> dict[str, Any]:
    """What the page of an evaluation run shows."""
    states = {
        state: Count("entries", filter=Q(entries__state=state), distinct=True) for state in EvaluationEntry.State.values
    }
    rows = EvaluationRun.objects.select_related("evaluator__rubric", "evaluator__model")
    asked = rows.annotate(expected=Count("entries", distinct=True), **states).filter(run=run).first()
    if asked is None:
        return {"asked": None}
    failed = asked.entries.filter(state=EvaluationEntry.State.FAILED).select_related("version__narrative__case")
    results = asked.results
    return {
        "asked": asked,
        "benchmark": asked,  # its tally
        "results": results,
        "dimensions": _dimensions(results) if results else [],
        "failed": failed.order_by("pk")[:SHOWN_FAILURES],
    }


def _dimensions(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = results["dimensions"]
    return [{"name": row_names()[key], **found[key], "figure": _mean(found[key])} for key in DIMENSION_KEYS]


def _mean(one: Mapping[str, Any]) -> Figure:
    return Figure(one["n"], one["mean"], one["low"], one["high"], one["reason"])


def _row(key: str, found: Mapping[str, Any]) -> CalibrationRow:
    one = found["dimensions"][key]
    n = one["n"]
    figures = tuple(_figure(one[column], n) for column in COLUMNS) if not one["reason"] else ()
    fixed = {way: _corrected(one.get(way), n) for way in ("linear", "isotonic")}
    curve = [{**bin, "physicians": Figure(**bin["physicians"])} for bin in one["curve"]]
    points = [(bin["machine"], estimate) for bin in curve if (estimate := bin["physicians"].estimate) is not None]
    again = found["retest"]["dimensions"][key]
    return CalibrationRow(
        row_names()[key],
        n,
        one["clusters"],
        one["reason"],
        figures,
        **fixed,
        curve=curve,
        chart=calibration_chart(points),
        parse=share_figure(found["parse"][key]),
        retest={
            name: Figure(**again[name]) if name == "difference" else share_figure(again[name])
            for name in ("exact", "within_one", "difference")
            if name in again
        }
        | {"n": again["n"], "reason": again["reason"]},
    )


def share_figure(one: Mapping[str, Any]) -> Figure:
    """A share with Wilson's interval, in per cent."""
    return Figure(one["n"], one["mean"], one["low"], one["high"], one["reason"]).in_per_cent()


def _corrected(one: Mapping[str, Any] | None, n: int) -> tuple[Figure, ...]:
    return () if not one or one["reason"] else (_figure(one["mae"], n), _figure(one["skill"], n))


def _figure(one: Mapping[str, Any], n: int) -> Figure:
    return Figure(n, one["value"], one["low"], one["high"], one["reason"])
