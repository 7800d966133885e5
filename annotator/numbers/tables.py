"""Stored agreement as the page and its files show it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import get_language

from annotator.numbers.words import OVERALL_NAME, REASONS, STATISTICS
from modelhub.charts import Estimate, IntervalChart, interval_chart
from scoring.agreement.study import ROWS
from scoring.agreement.table import OVERALL
from scoring.models import Agreement
from scoring.rubric import DIMENSION_KEYS, dimensions_in
from scoring.services.agreement import RATERS

CHARTED = ("alpha", "ac2")


@dataclass(frozen=True)
class Cell:
    """One coefficient of one dimension; the interval may rest on fewer ratings than the value."""

    key: str
    value: float | None
    low: float | None
    high: float | None
    scores: int
    texts: int
    cases: int
    why_not: Any


@dataclass(frozen=True)
class Row:
    key: str
    name: Any
    cells: tuple[Cell, ...]


def dimension_names() -> dict[str, Any]:
    return {one.key: one.name for one in dimensions_in(get_language())} | {OVERALL: OVERALL_NAME}


def rows_of(agreement: Agreement) -> list[Row]:
    """The six dimensions and their mean, each with all coefficients."""
    names, dimensions = dimension_names(), agreement.figures["dimensions"]
    return [
        Row(key, names[key], tuple(_cell(agreement, key, one) for one in STATISTICS))
        for key in ROWS
        if key in dimensions
    ]


def _cell(agreement: Agreement, row: str, statistic: str) -> Cell:
    now = agreement.figures["dimensions"][row][statistic]
    resampled = agreement.slow_parts.get(row, {}).get("estimates", {}).get(statistic, {})
    reason = now["reason"] or resampled.get("reason", "")
    known = now["value"] is not None
    return Cell(
        statistic,
        now["value"],
        resampled.get("low") if known else None,
        resampled.get("high") if known else None,
        now["scores"],
        now["texts"],
        now["cases"],
        REASONS.get(reason, reason),
    )


def chart_of(rows: list[Row]) -> IntervalChart | None:
    """α and AC2 side by side, dimension by dimension."""
    return interval_chart(
        [
            (
                str(row.name),
                [
                    Estimate(cell.value, cell.low, cell.high) if cell.value is not None else None
                    for cell in row.cells
                    if cell.key in CHARTED
                ],
            )
            for row in rows
        ],
        lowest=-1.0,
        highest=1.0,
    )


def intervals_of(agreement: Agreement) -> dict[str, Any] | None:
    """When the oldest of the intervals was computed, on how many ratings; ``None`` before the first."""
    parts = [agreement.slow_parts[row] for row in ROWS if row in agreement.slow_parts]
    if not parts:
        return None
    oldest = min(parts, key=lambda part: part["at"])
    return {
        "at": datetime.fromisoformat(oldest["at"]),
        "ratings": oldest["ratings"],
        "resamples": oldest["resamples"],
        "seed": oldest["seed"],
        "is_current": len(parts) == len(ROWS) and all(_same(part, agreement) for part in parts),
    }


def rater_rows(agreement: Agreement, name_of: Callable[[int], str]) -> list[dict[str, Any]]:
    """The raters' figures with the name that this reader may see, the strictest first."""
    stored = agreement.slow_parts.get(RATERS, {}).get("rows", [])
    rows = [
        {
            "name": name_of(one["rater"]),
            "ratings": one["ratings"],
            "overall": _with_reasons(one["overall"]),
            "severity": [one["severity"][key] for key in DIMENSION_KEYS],
            "repeats": one["repeats"],
        }
        for one in stored
    ]
    return sorted(rows, key=lambda row: (row["overall"] is None, _severity(row), row["name"]))


def _with_reasons(overall: dict[str, Any] | None) -> dict[str, Any] | None:
    if overall is None:
        return None
    drift = overall["drift"]
    return overall | {"drift": drift | {"reason": REASONS.get(drift["reason"], drift["reason"])}}


def _severity(row: dict[str, Any]) -> float:
    return row["overall"]["severity"]["mean"] if row["overall"] else 0.0


def _same(part: dict[str, Any], agreement: Agreement) -> bool:
    return (part["ratings"], part["key_sum"]) == (agreement.ratings, agreement.key_sum)
