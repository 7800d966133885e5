"""The scores of several models over the same cases as arrays; numpy, so for workers only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from modelhub.models import BenchmarkEntry, BenchmarkRun, EvaluationScore, ModelVersion
from scoring.rubric import DIMENSION_KEYS, overall

OVERALL, DIAGNOSIS = "overall", "diagnosis"
SERIES = (*DIMENSION_KEYS, OVERALL, DIAGNOSIS)
SCALES: dict[str, tuple[float, float]] = dict.fromkeys((*DIMENSION_KEYS, OVERALL), (0.0, 5.0)) | {DIAGNOSIS: (0.0, 1.0)}
BATCH = 2000
WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")  # a Chinese character counts as a word


@dataclass(frozen=True)
class Source:
    """A model and the run that measured it."""

    model: ModelVersion
    benchmark: BenchmarkRun


@dataclass(frozen=True)
class Tally:
    """Entries of one model; what is neither scored nor failed is pending."""

    expected: int
    scored: int
    failed: int


@dataclass(frozen=True)
class ScoreTable:
    """``values``: for each of ``series`` (models, cases), NaN where there is none; ``words`` the same of the texts.

    ``clusters``: the patient or lesion of each case, ``cases``: its key, (cases,). Rows in the order of ``sources``.
    """

    sources: tuple[Source, ...]
    tallies: tuple[Tally, ...]
    clusters: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    words: NDArray[np.float64]
    failures: tuple[dict[str, str], ...]
    cases: tuple[int, ...] = ()
    series: tuple[str, ...] = SERIES


def gather_scores(sources: Sequence[Source], *, series: tuple[str, ...] = SERIES) -> ScoreTable:
    """Every entry of each model's run; a failed one has no value and is listed with its reason."""
    groups: dict[int, int] = {}
    found = [_rows_of(source, groups) for source in sources]
    places = {case: at for at, case in enumerate(sorted(groups))}
    values = {name: np.full((len(sources), len(places)), np.nan) for name in series}
    words = np.full((len(sources), len(places)), np.nan)
    for row, scored in enumerate(found):
        for case, figures in scored.items():
            words[row, places[case]] = figures.pop("words")
            for name, value in figures.items():
                if name in values:
                    values[name][row, places[case]] = value
    return ScoreTable(
        tuple(sources),
        tuple(_tally(_entries(source)) for source in sources),
        np.array([groups[case] for case in sorted(groups)], dtype=np.int64),
        values,
        words,
        tuple(failure for source in sources for failure in _failures(source)),
        tuple(sorted(groups)),
        series,
    )


def word_count(text: str) -> int:
    """Words of a text, every Chinese character one; at least 1."""
    return max(1, len(WORD.findall(text)))


def _entries(source: Source) -> QuerySet[BenchmarkEntry]:
    return BenchmarkEntry.objects.filter(benchmark=source.benchmark, model=source.model)


def _rows_of(source: Source, groups: dict[int, int]) -> dict[int, dict[str, float]]:
    """Case → its known figures; also notes the group of every case, scored or not."""
    entries = _entries(source)
    groups.update(entries.values_list("case_id", "case__group_id"))
    scores: dict[int, dict[str, float | None]] = {}
    given = EvaluationScore.objects.filter(evaluation__in=entries.values("evaluation"))
    for evaluation, dimension, value in given.values_list("evaluation_id", "dimension", "value").iterator(BATCH):
        scores.setdefault(evaluation, {})[dimension] = value
    scored = entries.filter(state=BenchmarkEntry.State.SCORED)
    texts = scored.values_list("case_id", "evaluation_id", "evaluation__diagnosis_right", "evaluation__version__text")
    rows = {}
    for case, evaluation, right, text in texts.iterator(BATCH):
        figures: dict[str, Any] = scores.get(evaluation, {})
        figures = figures | {OVERALL: overall(figures), DIAGNOSIS: None if right is None else float(right)}
        known = {name: float(value) for name, value in figures.items() if value is not None}
        rows[case] = known | {"words": float(word_count(text))}
    return rows


def _tally(entries: QuerySet[BenchmarkEntry]) -> Tally:
    states = list(entries.values_list("state", flat=True))
    return Tally(len(states), states.count(BenchmarkEntry.State.SCORED), states.count(BenchmarkEntry.State.FAILED))


def _failures(source: Source) -> list[dict[str, str]]:
    failed = _entries(source).filter(state=BenchmarkEntry.State.FAILED).select_related("case").order_by("pk")
    model = str(source.model.public_id)
    return [{"case": entry.case.code, "model": model, "error": entry.error} for entry in failed]
