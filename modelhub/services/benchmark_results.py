"""From scored entries to the stored results of a DermBench run; computed by a worker, read by pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from modelhub.evaluators.base import Evaluator
from modelhub.models import BenchmarkEntry, BenchmarkRun, ModelVersion
from scoring.intervals import METHOD, mean_interval, paired_interval
from scoring.rubric import DIMENSION_KEYS, overall

SERIES = (*DIMENSION_KEYS, "overall", "diagnosis")


@dataclass
class ModelScores:
    """One model: for each of ``SERIES`` the value per case (diagnosis: 1 right, 0 wrong), where there is one."""

    model: ModelVersion
    values: dict[str, dict[int, float]] = field(default_factory=lambda: {name: {} for name in SERIES})
    scored: int = 0
    failed: int = 0
    expected: int = 0


def compute_results(benchmark: BenchmarkRun, models: Sequence[ModelVersion], evaluator: Evaluator) -> dict[str, Any]:
    """Plain data for ``BenchmarkRun.results``.

    ``models``: in order, each with ``model`` (public id), ``name``, ``expected`` = ``scored`` + ``failed``,
    ``dimensions`` (key → interval), ``overall`` and ``diagnosis`` (share right). ``pairs``: each two models, ``left``
    and ``right``, the same figures for right minus left over the cases that both have. An interval is ``n``, ``mean``,
    ``low``, ``high``, ``reason``: 95 %, clustered by patient or lesion; means on the rubric's scale, shares 0 to 1.
    """
    clusters: dict[int, int] = {}
    gathered = [_gather(benchmark, model, evaluator, clusters) for model in models]
    return {
        "method": METHOD,
        "models": [
            {
                "model": str(scores.model.public_id),
                "name": scores.model.name,
                "expected": scores.expected,
                "scored": scores.scored,
                "failed": scores.failed,
                **_figures({name: _mean(scores.values[name], clusters) for name in SERIES}),
            }
            for scores in gathered
        ],
        "pairs": [
            {
                "left": str(left.model.public_id),
                "right": str(right.model.public_id),
                **_figures({name: _difference(left, right, name, clusters) for name in SERIES}),
            }
            for left, right in combinations(gathered, 2)
        ],
        "failures": _failures(benchmark),
    }


def _gather(
    benchmark: BenchmarkRun, model: ModelVersion, evaluator: Evaluator, clusters: dict[int, int]
) -> ModelScores:
    scores = ModelScores(model)
    entries = BenchmarkEntry.objects.filter(benchmark=benchmark, model=model).order_by("pk")
    related = entries.select_related("case", "evaluation__version").prefetch_related("evaluation__scores")
    for entry in related:
        scores.expected += 1
        scores.failed += entry.state == BenchmarkEntry.State.FAILED
        clusters[entry.case_id] = entry.case.group_id
        if entry.evaluation is None:
            continue
        scores.scored += 1
        found: dict[str, float | None] = {score.dimension: score.value for score in entry.evaluation.scores.all()}
        right = evaluator.diagnosis_right(entry.evaluation.version, entry.case)
        found |= {"overall": overall(found), "diagnosis": None if right is None else float(right)}
        for name, value in found.items():
            if value is not None:
                scores.values[name][entry.case_id] = value
    return scores


def _mean(values: Mapping[int, float], clusters: Mapping[int, int]) -> dict[str, Any]:
    return mean_interval(list(values.values()), [clusters[case] for case in values]).as_dict()


def _difference(left: ModelScores, right: ModelScores, name: str, clusters: Mapping[int, int]) -> dict[str, Any]:
    return paired_interval(left.values[name], right.values[name], clusters).as_dict()


def _figures(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    dimensions = {key: figures[key] for key in DIMENSION_KEYS}
    return {"dimensions": dimensions, "overall": figures["overall"], "diagnosis": figures["diagnosis"]}


def _failures(benchmark: BenchmarkRun) -> list[dict[str, str]]:
    failed = BenchmarkEntry.objects.filter(benchmark=benchmark, state=BenchmarkEntry.State.FAILED)
    return [
        {"case": entry.case.code, "model": str(entry.model.public_id), "error": entry.error}
        for entry in failed.select_related("case", "model").order_by("pk")
    ]
