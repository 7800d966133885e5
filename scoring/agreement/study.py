"""A study's agreement in full: the coefficients of every dimension, the pairs and the raters, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scoring.agreement.ac2 import GwetAC2
from scoring.agreement.alpha import OrdinalAlpha
from scoring.agreement.bootstrap import RESAMPLES, SEED, Statistic, estimate
from scoring.agreement.columns import GAP, Columns
from scoring.agreement.icc import AbsoluteICC
from scoring.agreement.kappa import MeanKappa
from scoring.agreement.raters import consistency, rater_figures
from scoring.agreement.table import OVERALL, ScoreTable
from scoring.agreement.within_one import WithinOne
from scoring.rubric import DIMENSION_KEYS

ROWS: tuple[str, ...] = (*DIMENSION_KEYS, OVERALL)
STATISTICS: tuple[str, ...] = ("alpha", "ac2", "kappa", "icc_1", "icc_k", "within_one")


def statistics_for(scale: tuple[float, ...]) -> dict[str, Statistic]:
    """The six coefficients of a scale, by key, in the order of ``STATISTICS``."""
    found: list[Statistic] = [
        OrdinalAlpha(),
        GwetAC2(scale),
        MeanKappa(),
        AbsoluteICC(average=False),
        AbsoluteICC(average=True),
        WithinOne(),
    ]
    return {statistic.key: statistic for statistic in found}


def study_figures(columns: Columns) -> dict[str, Any]:
    """What is quick: ``counts``, ``dimensions`` (row → statistic → estimate), ``levels`` (row → how often each level of
    the scale was given), ``pairs`` of raters by their keys.
    """
    firsts = columns.firsts()
    tables = {row: firsts.table(row) for row in ROWS}
    return {
        "counts": _counts(columns),
        "dimensions": {
            row: {key: one.as_dict() for key, one in estimates(table, resamples=0).items()}
            for row, table in tables.items()
        },
        "levels": {row: _levels(tables[row]) for row in DIMENSION_KEYS},
        "pairs": _pairs(firsts, tables[OVERALL]),
    }


def dimension_intervals(columns: Columns, row: str, *, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Any]:
    """The coefficients of one dimension, or of the overall mean, with their intervals."""
    found = estimates(columns.firsts().table(row), resamples=resamples, seed=seed)
    return {key: one.as_dict() for key, one in found.items()}


def estimates(table: ScoreTable, *, resamples: int, seed: int = SEED) -> dict[str, Any]:
    found = statistics_for(table.scale)
    return {key: estimate(one, table, resamples=resamples, seed=seed) for key, one in found.items()}


def _counts(columns: Columns) -> dict[str, int]:
    import numpy as np

    firsts = columns.firsts()
    return {
        "ratings": len(firsts),
        "texts": len(np.unique(firsts.text)),
        "cases": len(np.unique(firsts.case)),
        "raters": len(np.unique(firsts.rater)),
        "repeats": len(columns) - len(firsts),
    }


def _levels(table: ScoreTable) -> list[int]:
    import numpy as np

    return [int(count) for count in np.bincount(table.levels, minlength=len(table.scale))]


def _rater_keys(columns: Columns, row: str) -> list[int]:
    """The rater's key of each rater code of the table of ``row``."""
    import numpy as np

    return [int(key) for key in np.unique(columns.rater[columns.scored(row)])]


def _pairs(firsts: Columns, overall: ScoreTable) -> list[dict[str, Any]]:
    keys = _rater_keys(firsts, OVERALL)
    return [
        {"first": keys[pair.first], "second": keys[pair.second], "shared": pair.shared, "kappa": pair.kappa}
        for pair in MeanKappa().pairs(overall)
    ]


def rater_rows(columns: Columns) -> list[dict[str, Any]]:
    """Each rater by her key: number of ratings, severity, spread and drift overall, severity by dimension, repeats."""
    import numpy as np

    firsts, repeats = columns.firsts(), columns.repeats()
    per_row = {
        row: dict(zip(_rater_keys(firsts, row), _figures(firsts, row, firsts.table(row)), strict=True)) for row in ROWS
    }
    rows = []
    for rater in np.unique(firsts.rater):
        key = int(rater)
        overall = per_row[OVERALL].get(key)
        rows.append(
            {
                "rater": key,
                "ratings": int((firsts.rater == rater).sum()),
                "overall": asdict(overall) if overall is not None else None,
                "severity": {
                    row: one.severity.as_dict() if (one := per_row[row].get(key)) is not None else None
                    for row in DIMENSION_KEYS
                },
                "repeats": asdict(consistency(_twice(firsts, repeats, key))),
            }
        )
    return rows


def _figures(firsts: Columns, row: str, table: ScoreTable) -> list[Any]:
    found = rater_figures(table, firsts.at[firsts.scored(row)])
    return [found.get(code) for code in range(table.rater_number)]


def _twice(firsts: Columns, repeats: Columns, rater: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Her first and second scores of the texts that she was given twice."""
    again, before = repeats.rater == rater, firsts.rater == rater
    first = dict(zip(firsts.text[before].tolist(), firsts.levels[before], strict=True)) if again.any() else {}
    both = zip(repeats.text[again].tolist(), repeats.levels[again], strict=True)
    return [(_by_key(first[text]), _by_key(levels)) for text, levels in both if text in first]


def _by_key(levels: Any) -> dict[str, float | None]:
    return {
        key: None if level == GAP else float(level) for key, level in zip(DIMENSION_KEYS, levels.tolist(), strict=True)
    }
