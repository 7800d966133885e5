"""A benchmark's candidates and their scores as lines of a file."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from modelhub.models import BenchmarkEntry, BenchmarkRun

BATCH = 500


def candidate_lines(entries: QuerySet[BenchmarkEntry], released: frozenset[str]) -> Iterator[bytes]:
    """One line of JSON per entry of a case that the archive contains (``released``: public ids)."""
    related = entries.select_related(
        "case", "model", "generation__version", "generation__prompt", "evaluation__evaluator"
    )
    for entry in related.prefetch_related("evaluation__scores").iterator(chunk_size=BATCH):
        if str(entry.case.public_id) in released:
            yield (json.dumps(candidate_record(entry), ensure_ascii=False, allow_nan=False) + "\n").encode()


def candidate_record(entry: BenchmarkEntry) -> dict[str, Any]:
    """A candidate with how it was written, its scores (0 to 5) and whether its final diagnosis is right; ``null`` where
    there is none."""
    generation, evaluation = entry.generation, entry.evaluation
    version = generation.version if generation else None
    return {
        "case": str(entry.case.public_id),
        "model": {"name": entry.model.name, "weights_sha256": entry.model.weights_hash},
        "state": entry.state,
        "error": entry.error or None,
        "text": version.text if version else None,
        "text_sha256": version.sha256 if version else None,
        "truncated": version.truncated if version else None,
        "stated_diagnosis": version.diagnosis if version else None,
        "prompt": generation.prompt.text if generation else None,
        "settings": generation.settings if generation else None,
        "tokens": generation.tokens if generation else None,
        "seconds": generation.seconds if generation else None,
        "evaluator": evaluation.evaluator.name if evaluation else None,
        "evaluator_identity": evaluation.evaluator.identity_hash if evaluation else None,
        "scores": {score.dimension: score.value for score in evaluation.scores.all()} or None if evaluation else None,
        "diagnosis_right": evaluation.diagnosis_right if evaluation else None,
        "diagnosis_note": evaluation.diagnosis_note or None if evaluation else None,
        "critique": evaluation.critique if evaluation else None,
    }


def result_file(benchmark: BenchmarkRun) -> bytes:
    content = {"manifest": benchmark.manifest, "evaluator": benchmark.evaluator.name, "results": benchmark.results}
    return (json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
