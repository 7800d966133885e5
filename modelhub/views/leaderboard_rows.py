"""A stored leaderboard as the rows, matrix and chart of its page; nothing is computed here but geometry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from modelhub.charts import IntervalChart, interval_chart
from modelhub.views.results import DIAGNOSIS, OVERALL, ROW_KEYS, Figure, figure, row_names
from scoring.rubric import DIMENSION_KEYS

COLUMNS = (OVERALL, *DIMENSION_KEYS)


@dataclass(frozen=True)
class BoardRow:
    """One model: what was stored of it, its figure in the question asked, and one per column."""

    model: dict[str, Any]
    standing: Figure | None
    cells: tuple[tuple[str, Figure | None], ...]

    @property
    def pending(self) -> int:
        return int(self.model["expected"] - self.model["scored"] - self.model["failed"])


@dataclass(frozen=True)
class PairRow:
    """The difference ``better`` minus ``other``, turned so that it is not negative."""

    better: str
    other: str
    difference: Figure


@dataclass(frozen=True)
class Board:
    """One question of a leaderboard: all models, every two of them, and what the number of cases can show."""

    key: str
    name: str
    rows: tuple[BoardRow, ...]
    names: tuple[str, ...]
    matrix: tuple[tuple[str, tuple[Figure | None, ...]], ...]
    pairs: tuple[PairRow, ...]
    proven: int
    detectable: float | None
    detectable_holm: float | None
    chart: IntervalChart | None


def series_choices(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the models can be compared by: the mean, the six, and right diagnoses where they were judged."""
    judged = any(model[DIAGNOSIS]["n"] for model in machine["models"])
    return [(key, row_names()[key]) for key in (*COLUMNS, *((DIAGNOSIS,) if judged else ()))]


def read_board(machine: Mapping[str, Any], key: str) -> Board:
    """The stored figures by the series ``key``, the best model first."""
    models = sorted(machine["models"], key=lambda model: _descending(figure(model, key)))
    shown = COLUMNS if key in ROW_KEYS else (*COLUMNS, key)
    rows = tuple(
        BoardRow(model, figure(model, key), tuple((name, figure(model, name)) for name in shown)) for model in models
    )
    found = {(pair["left"], pair["right"]): figure(pair, key) for pair in machine["pairs"]}
    ids = [model["model"] for model in models]
    names = tuple(model["name"] for model in models)
    matrix = tuple(
        (name, tuple(_difference(found, row, column) for column in ids)) for name, row in zip(names, ids, strict=True)
    )
    estimates = [(model["name"], [f.estimate if (f := figure(model, key)) else None]) for model in models]
    known = [difference for difference in found.values() if difference is not None]
    return Board(
        key=key,
        name=row_names()[key],
        rows=rows,
        names=names,
        matrix=matrix,
        pairs=_pairs(found, dict(zip(ids, names, strict=True))),
        proven=sum(difference.is_proven for difference in known),
        detectable=_median([f.detectable for f in known]),
        detectable_holm=_median([f.detectable_holm for f in known]),
        chart=interval_chart(estimates, highest=100.0 if key == DIAGNOSIS else 5.0),
    )


def _descending(found: Figure | None) -> float:
    return 1.0 if found is None or found.mean is None else -found.mean


def _difference(found: Mapping[tuple[str, str], Figure | None], row: str, column: str) -> Figure | None:
    """``row`` minus ``column``; the worker stored each two once, right minus left."""
    stored = found.get((column, row))
    if stored is not None:
        return stored
    other = found.get((row, column))
    return other.turned() if other is not None else None


def _pairs(found: Mapping[tuple[str, str], Figure | None], names: Mapping[str, str]) -> tuple[PairRow, ...]:
    rows = []
    for (left, right), difference in found.items():
        if difference is not None:
            lower = difference.mean is not None and difference.mean < 0
            better, other = (left, right) if lower else (right, left)
            rows.append(PairRow(names[better], names[other], difference.turned() if lower else difference))
    return tuple(sorted(rows, key=lambda row: -(row.difference.mean or 0.0)))


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
