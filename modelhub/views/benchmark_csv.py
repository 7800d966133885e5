"""A benchmark's per-case records as lines of CSV."""

import csv
from collections.abc import Iterator
from typing import Any

from modelhub.models import BenchmarkEntry, BenchmarkRun
from scoring.rubric import DIMENSION_KEYS, overall

CHUNK = 500
HEADER = (
    "case",
    "reference_diagnosis",
    "skin_tone",
    "skin_tone_scale",
    "model",
    "state",
    "error",
    "version",
    "stated_diagnosis",
    *DIMENSION_KEYS,
    "mean_of_six",
    "tokens",
    "evaluator",
    "evaluator_identity",
    "rubric",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Echo:
    """A file that gives back what is written, for ``csv.writer``."""

    def write(self, line: str) -> str:
        return line


def record_lines(benchmark: BenchmarkRun) -> Iterator[str]:
    """Lines in the order of cases and models; empty fields where a figure is unknown."""
    writer = csv.writer(Echo())
    yield writer.writerow(HEADER)
    entries = benchmark.entries.select_related("case", "model", "generation__version", "evaluation")
    for entry in entries.prefetch_related("evaluation__scores").order_by("case_id", "model_id").iterator(CHUNK):
        yield writer.writerow([text_cell(value) for value in record(benchmark, entry)])


def record(benchmark: BenchmarkRun, entry: BenchmarkEntry) -> list[Any]:
    case, generation = entry.case, entry.generation
    version = generation.version if generation else None
    scores = {s.dimension: s.value for s in entry.evaluation.scores.all()} if entry.evaluation else {}
    return [
        case.public_id,
        case.diagnosis,
        case.skin_tone,
        case.skin_tone_scale,
        entry.model.name,
        entry.state,
        entry.error,
        version.public_id if version else None,
        version.diagnosis if version else None,
        *(scores.get(key) for key in DIMENSION_KEYS),
        overall(scores),
        generation.tokens if generation else None,
        benchmark.evaluator.name,
        benchmark.evaluator.identity_hash,
        benchmark.evaluator.rubric.number,
    ]


def text_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is marked as text; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
