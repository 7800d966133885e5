"""Stored figures about evaluators as the rows of tables; nothing is computed here but words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from modelhub.models import EvaluationEntry, EvaluationRun, Run
from modelhub.views.results import Figure
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES

COLUMNS = ("bias", "mae", "constant_mae", "skill", "spearman", "within_one")
SHOWN_FAILURES = 50


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


def calibration_table(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``None`` before anybody computed it."""
    if not found:
        return None
    rows = [_row(DIMENSION_NAMES[key], found["dimensions"][key]) for key in DIMENSION_KEYS]
    return {**{name: found[name] for name in ("texts", "ratings", "simulated")}, "rows": rows}


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
    return [{"name": DIMENSION_NAMES[key], **found[key], "figure": _mean(found[key])} for key in DIMENSION_KEYS]


def _mean(one: Mapping[str, Any]) -> Figure:
    return Figure(one["n"], one["mean"], one["low"], one["high"], one["reason"])


def _row(name: str, one: Mapping[str, Any]) -> CalibrationRow:
    n = one["n"]
    figures = tuple(_figure(one[column], n) for column in COLUMNS) if not one["reason"] else ()
    fixed = {way: _corrected(one.get(way), n) for way in ("linear", "isotonic")}
    return CalibrationRow(name, n, one["clusters"], one["reason"], figures, **fixed, curve=one["curve"])


def _corrected(one: Mapping[str, Any] | None, n: int) -> tuple[Figure, ...]:
    return () if not one or one["reason"] else (_figure(one["mae"], n), _figure(one["skill"], n))


def _figure(one: Mapping[str, Any], n: int) -> Figure:
    return Figure(n, one["value"], one["low"], one["high"], one["reason"])
