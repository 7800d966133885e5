"""From scored entries to stored results, of one DermBench run or a leaderboard; computed by a worker, read by pages."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from modelhub.models import BenchmarkRun, ModelVersion
from modelhub.services.benchmark_parts import benchmark_parts
from modelhub.services.score_tables import DIAGNOSIS, SCALES, SERIES, ScoreTable, Source, gather_scores
from scoring.detectable import detectable_difference
from scoring.intervals import METHOD as MEAN_METHOD
from scoring.intervals import mean_interval
from scoring.models import DatasetVersion
from scoring.multiple import ALPHA, holm, rank_ranges, tie_letters
from scoring.resampling import METHOD as PAIR_METHOD
from scoring.resampling import RESAMPLES, SEED, PairedDifference, paired_differences
from scoring.rubric import DIMENSION_KEYS

Figures = dict[str, dict[str, Any]]


def compute_results(benchmark: BenchmarkRun, models: Sequence[ModelVersion]) -> dict[str, Any]:
    """Plain data for ``BenchmarkRun.results``; as :func:`table_results` and ``benchmark_parts`` give it."""
    labelled = benchmark.dataset.kind == DatasetVersion.Kind.LABELLED
    series = (DIAGNOSIS,) if labelled else SERIES
    table = gather_scores([Source(model, benchmark) for model in models], series=series)
    return table_results(table) | benchmark_parts(benchmark, table)


def table_results(table: ScoreTable, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The figures of every model and every two models, with how they were computed.

    ``models``: in order, each with ``model`` (public id), ``name``, ``expected`` = ``scored`` + ``failed`` + pending,
    ``dimensions`` (key → figure), ``overall`` and ``diagnosis`` (share right). A figure is ``n``, ``mean``, ``low``,
    ``high``, ``reason`` and, where models are compared, ``letters`` (a shared one: no proven difference), ``best`` and
    ``worst`` rank. ``pairs``: each two models, ``left`` and ``right``, the same keys for right minus left over the
    cases that both have: ``n``, ``clusters``, ``mean``, ``error``, ``low``, ``high``, ``p``, ``p_holm`` (over all pairs
    of the series), ``detectable`` (the smallest difference found at 80 % power) and ``detectable_holm``, ``reason``.
    Means on the rubric's scale, shares 0 to 1; intervals 95 %, clustered by patient or lesion.
    """
    ids = [str(source.model.public_id) for source in table.sources]
    pairs = list(combinations(range(len(ids)), 2))
    compared = {name: _compare(table, name, pairs, resamples) for name in table.series}
    standing = {name: _standing(table, name, pairs, compared[name]) for name in table.series}
    return {
        "method": {"means": MEAN_METHOD, "pairs": PAIR_METHOD, "resamples": resamples, "seed": SEED, "alpha": ALPHA},
        "models": [
            {
                "model": ids[row],
                "name": source.model.name,
                **asdict(table.tallies[row]),
                **_by_kind({name: standing[name][row] for name in table.series}),
            }
            for row, source in enumerate(table.sources)
        ],
        "pairs": [
            {
                "left": ids[left],
                "right": ids[right],
                **_by_kind({name: compared[name][at] for name in table.series}),
            }
            for at, (left, right) in enumerate(pairs)
        ],
        "failures": list(table.failures),
    }


def _compare(table: ScoreTable, name: str, pairs: list[tuple[int, int]], resamples: int) -> list[dict[str, Any]]:
    found = paired_differences(table.values[name], table.clusters, pairs, resamples=resamples)
    adjusted = holm([difference.p for difference in found])
    tested = sum(difference.p is not None for difference in found)
    return [
        difference.as_dict() | {"p_holm": p, **_detectable(difference, tested)}
        for difference, p in zip(found, adjusted, strict=True)
    ]


def _detectable(difference: PairedDifference, comparisons: int) -> dict[str, float | None]:
    if difference.error is None or difference.p is None:
        return {"detectable": None, "detectable_holm": None}
    error, degrees = difference.error, difference.clusters - 1
    return {
        "detectable": detectable_difference(error, degrees),
        "detectable_holm": detectable_difference(error, degrees, comparisons=comparisons),
    }


def _standing(
    table: ScoreTable, name: str, pairs: list[tuple[int, int]], compared: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Each model's mean with its interval, tie letters and range of ranks."""
    figures = [_mean(row, table, name) for row in table.values[name]]
    if len(figures) < 2:
        return figures
    means = [figure["mean"] for figure in figures]
    different = {
        pair
        for pair, found in zip(pairs, compared, strict=True)
        if found["p_holm"] is not None and found["p_holm"] <= ALPHA
    }
    letters, ranks = tie_letters(means, different), rank_ranges(means, different)
    for figure, shared, places in zip(figures, letters, ranks, strict=True):
        best, worst = places or (None, None)
        figure |= {"letters": shared, "best": best, "worst": worst}
    return figures


def _mean(row: Any, table: ScoreTable, name: str) -> dict[str, Any]:
    known = ~np.isnan(row)
    return mean_interval(row[known].tolist(), table.clusters[known].tolist(), scale=SCALES[name]).as_dict()


def _by_kind(figures: Figures) -> dict[str, Any]:
    """``overall`` and ``dimensions`` are empty where the diagnosis alone was judged."""
    dimensions = {key: figures[key] for key in DIMENSION_KEYS if key in figures}
    return {"dimensions": dimensions, "overall": figures.get("overall"), "diagnosis": figures["diagnosis"]}
