"""Each model's evaluator means corrected to what people say about some of its texts; for workers only."""

from collections import defaultdict
from typing import Any

import numpy as np

from modelhub.models import BenchmarkEntry, EvaluationScore, Leaderboard
from modelhub.services.leaderboards import sources_of
from modelhub.services.score_tables import OVERALL, Source
from scoring.models import Rating, Score
from scoring.prediction_powered import corrected_mean
from scoring.rubric import DIMENSION_KEYS, overall

SCALE = (0.0, 5.0)
Scores = dict[int, dict[str, float | None]]  # version → dimension → score


def corrected_means(board: Leaderboard) -> list[dict[str, Any]]:
    """Of every model that people rated a text of: ``model``, ``name``, ``dimensions`` and ``overall``, each as
    ``corrected_mean`` gives it. People's are means of sealed first ratings under the evaluator's rubric."""
    found = []
    for model, benchmark in sources_of(board):
        machine, clusters = _machine(Source(model, benchmark))
        people = _people(board, list(machine))
        if people:
            keys = (*DIMENSION_KEYS, OVERALL)
            figures = {key: _corrected(key, machine, people, clusters) for key in keys}
            found.append(
                {
                    "model": str(model.public_id),
                    "name": model.name,
                    "dimensions": {key: figures[key] for key in DIMENSION_KEYS},
                    OVERALL: figures[OVERALL],
                }
            )
    return found


def _corrected(key: str, machine: Scores, people: Scores, clusters: dict[int, int]) -> dict[str, Any]:
    texts = sorted(machine)
    given, said = (
        np.array([np.nan if (value := side.get(text, {}).get(key)) is None else value for text in texts], dtype=float)
        for side in (machine, people)
    )
    return corrected_mean(given, said, np.array([clusters[text] for text in texts]), scale=SCALE)


def _machine(source: Source) -> tuple[Scores, dict[int, int]]:
    """The evaluator's scores of the model's texts, and the patient or lesion of each."""
    entries = BenchmarkEntry.objects.filter(
        benchmark=source.benchmark, model=source.model, state=BenchmarkEntry.State.SCORED
    )
    clusters = dict(entries.values_list("evaluation__version_id", "case__group_id"))
    scores: Scores = {version: {} for version in clusters}
    given = EvaluationScore.objects.filter(evaluation__in=entries.values("evaluation"))
    for version, dimension, value in given.values_list("evaluation__version_id", "dimension", "value"):
        scores[version][dimension] = value
    return {version: one | {OVERALL: overall(one)} for version, one in scores.items()}, clusters


def _people(board: Leaderboard, versions: list[int]) -> Scores:
    """The mean of a text's ratings, by dimension, and of the mean of six of those who judged all."""
    ratings = Rating.objects.sealed_first().filter(version__in=versions, rubric=board.evaluator.rubric_id)
    each: dict[tuple[int, int], dict[str, float | None]] = defaultdict(dict)
    given = Score.objects.filter(rating__in=ratings)
    columns = ("rating_id", "rating__version_id", "dimension", "value")
    for rating, version, dimension, value in given.values_list(*columns).order_by("pk"):
        each[rating, version][dimension] = value
    values: dict[tuple[int, str], list[float]] = defaultdict(list)
    for (_, version), one in each.items():
        for key, value in {**one, OVERALL: overall(one)}.items():
            if value is not None:
                values[version, key].append(float(value))
    means: Scores = defaultdict(dict)
    for (version, key), known in values.items():
        means[version][key] = sum(known) / len(known)
    return dict(means)
