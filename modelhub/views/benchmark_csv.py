"""A benchmark's per-case records as lines of CSV."""

import csv
from collections.abc import Iterator
from typing import Any

from modelhub.models import BenchmarkEntry, BenchmarkRun
from scoring.models import DatasetVersion
from scoring.rubric import DIMENSION_KEYS, overall

CHUNK = 500
SCORES = (*DIMENSION_KEYS, "mean_of_six")
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
    "diagnosis_right",
    "diagnosis_note",
    *SCORES,
    "tokens",
    "evaluator",
    "evaluator_identity",
    "rubric",
)
LABELLED_HEADER = tuple(name for name in HEADER if name not in (*SCORES, "rubric"))
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Echo:
    """A file that gives back what is written, for ``csv.writer``."""

    def write(self, line: str) -> str:
        return line


def record_lines(benchmark: BenchmarkRun) -> Iterator[str]:
    """Lines in the order of cases and models; empty fields where a figure is unknown. A classification's have the
    labels as they were frozen, and no scores."""
    labelled = benchmark.dataset.kind == DatasetVersion.Kind.LABELLED
    labels = dict(benchmark.dataset.labelled.values_list("case_id", "label"))
    writer = csv.DictWriter(Echo(), LABELLED_HEADER if labelled else HEADER, extrasaction="ignore")
    yield writer.writeheader()
    entries = benchmark.entries.select_related("case", "model", "generation__version", "evaluation")
    for entry in entries.prefetch_related("evaluation__scores").order_by("case_id", "model_id").iterator(CHUNK):
        found = record(benchmark, entry) | ({"reference_diagnosis": labels[entry.case_id]} if labelled else {})
        yield writer.writerow({name: text_cell(value) for name, value in found.items()})


def record(benchmark: BenchmarkRun, entry: BenchmarkEntry) -> dict[str, Any]:
    case, generation, evaluation = entry.case, entry.generation, entry.evaluation
    version = generation.version if generation else None
    scores = {s.dimension: s.value for s in evaluation.scores.all()} if evaluation else {}
    return {
        "case": case.public_id,
        "reference_diagnosis": case.diagnosis,
        "skin_tone": case.skin_tone,
        "skin_tone_scale": case.skin_tone_scale,
        "model": entry.model.name,
        "state": entry.state,
        "error": entry.error,
        "version": version.public_id if version else None,
        "stated_diagnosis": version.diagnosis if version else None,
        "diagnosis_right": evaluation.diagnosis_right if evaluation else None,
        "diagnosis_note": evaluation.diagnosis_note if evaluation else None,
        **{key: scores.get(key) for key in DIMENSION_KEYS},
        "mean_of_six": overall(scores),
        "tokens": generation.tokens if generation else None,
        "evaluator": benchmark.evaluator.name,
        "evaluator_identity": benchmark.evaluator.identity_hash,
        "rubric": benchmark.evaluator.rubric.number,
    }


def text_cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is marked as text; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
