"""Rows for the hub's pages: models, runs, a finished benchmark, made directly where a worker would have made them."""

import itertools
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from modelhub.evaluators.base import EvaluationResult
from modelhub.models import (
    Artifact,
    BenchmarkEntry,
    BenchmarkRun,
    Evaluation,
    EvaluationEntry,
    EvaluationRun,
    EvaluationScore,
    Generation,
    ModelVersion,
    Run,
)
from modelhub.services.evaluations import evaluator_version, store_evaluation
from modelhub.services.generation import prompt_version
from scoring.digest import content_hash
from scoring.models import Case, DatasetVersion, NarrativeVersion, Study
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_case, make_study, make_version

_numbers = itertools.count(1000)  # no number that a frozen version has
RIGHT_TEXT = (
    "<think> A single brown plaque lies on light skin. Seborrhoeic keratosis is considered. </think>"
    "<answer> Seborrhoeic keratosis. No treatment is needed. </answer>"
)


def make_model(**fields: Any) -> ModelVersion:
    number = next(_numbers)
    values = {
        "name": f"Model {number}",
        "kind": ModelVersion.Kind.BASE,
        "location": f"models/{number}",
        "weights_hash": f"{number:064x}",
        "synthetic": True,
    }
    return ModelVersion.objects.create(**(values | fields))


def make_run(**fields: Any) -> Run:
    values = {"kind": Run.Kind.GENERATION, "title": f"Run {next(_numbers)}"}
    return Run.objects.create(**(values | fields))


def make_generation(run: Run, model: ModelVersion, case: Case, text: str = "", **fields: Any) -> Generation:
    prompt = prompt_version(text="Describe the skin lesion step by step, then answer.")
    values: dict[str, Any] = {"run": run, "model": model, "case": case, "prompt": prompt}
    if text:
        version = make_version(case=case, text=text)
        values |= {"version": version, "state": Generation.State.DONE, "tokens": 40, "seconds": 1.5}
    return Generation.objects.create(**(values | fields))


def make_dataset(kind: str = DatasetVersion.Kind.DERMCOT, *, study: Study | None = None, actor: Any) -> DatasetVersion:
    """A version without items, for pages that only name it."""
    number = next(_numbers)
    return DatasetVersion.objects.create(
        kind=kind,
        number=number,
        study=study or make_study(actor=actor),
        content_hash=f"{number:064x}",
        item_count=3,
        created_by=actor,
    )


def make_benchmark(
    *, actor: Any, cases: list[Case] | None = None, models: int = 2, finished: bool = True, study: Study | None = None
) -> BenchmarkRun:
    """Two models on some cases; the second scores one point higher from case to case, the first case one lower."""
    cases = cases if cases is not None else [make_case(split="evaluation") for _ in range(3)]
    chosen = [make_model() for _ in range(models)]
    dataset = make_dataset(DatasetVersion.Kind.DERMBENCH, actor=actor, study=study)
    state = Run.State.SUCCEEDED if finished else Run.State.QUEUED
    run = make_run(kind=Run.Kind.BENCHMARK, state=state, finished_at=timezone.now() if finished else None)
    evaluator = evaluator_version("synthetic_truth")
    prompt = prompt_version(text="Describe.")
    benchmark = BenchmarkRun.objects.create(run=run, dataset=dataset, prompt=prompt, evaluator=evaluator)
    benchmark.candidates.set(chosen)
    for index, case in enumerate(cases):
        for number, model in enumerate(chosen):
            text = RIGHT_TEXT.replace("brown", ("brown", "black")[number % 2])
            value = 3.0 - index + number * (index + 1) if index < 3 else 3.0
            _scored_entry(benchmark, case, model, text, min(5.0, value))
    if finished:
        benchmark.results = results_for(chosen, len(cases))
        benchmark.save()
    return benchmark


def _scored_entry(benchmark: BenchmarkRun, case: Case, model: ModelVersion, text: str, value: float) -> None:
    generation = make_generation(benchmark.run, model, case, text)
    evaluation = Evaluation.objects.create(
        version=generation.version, evaluator=benchmark.evaluator, run=benchmark.run, parse_status="exact"
    )
    EvaluationScore.objects.bulk_create(
        EvaluationScore(evaluation=evaluation, dimension=key, value=value) for key in DIMENSION_KEYS
    )
    BenchmarkEntry.objects.create(
        benchmark=benchmark, case=case, model=model, generation=generation, evaluation=evaluation, state="scored"
    )


def results_for(models: list[ModelVersion], n: int) -> dict[str, Any]:
    """What a worker stores, with figures that can be told apart on a page."""

    def figures(mean: float) -> dict[str, Any]:
        each = {"n": n, "mean": mean, "low": mean - 0.25, "high": mean + 0.25, "reason": ""}
        return {"dimensions": dict.fromkeys(DIMENSION_KEYS, each), "overall": each, "diagnosis": each | {"mean": 0.5}}

    parts = [
        {"model": str(m.public_id), "name": m.name, "expected": n, "scored": n, "failed": 0, **figures(2.11 + i)}
        for i, m in enumerate(models)
    ]
    pairs = [
        {"left": str(left.public_id), "right": str(right.public_id), **figures(-0.77)}
        for left, right in itertools.combinations(models, 2)
    ]
    return {"method": "Student's t", "models": parts, "pairs": pairs, "failures": []}


def make_artifact(dataset: DatasetVersion, content: bytes = b"archive") -> Artifact:
    run = make_run(kind=Run.Kind.EXPORT, state=Run.State.SUCCEEDED, title=f"Export of {dataset}")
    artifact = Artifact(run=run, dataset=dataset, name="dermcot-v1.zip", sha256=content_hash("x"), size=len(content))
    artifact.file.save("dermcot-v1.zip", ContentFile(content))
    return artifact


def make_evaluation_run(values: list[tuple[NarrativeVersion, float, float | None]]) -> EvaluationRun:
    """Every text with the same score on all dimensions but Safety's own."""
    row = evaluator_version("synthetic_truth")
    run = make_run(kind=Run.Kind.EVALUATION, state=Run.State.SUCCEEDED)
    asked = EvaluationRun.objects.create(run=run, evaluator=row, pool="narratives")
    for version, value, safety in values:
        scores = dict.fromkeys(DIMENSION_KEYS, value) | {"safety": safety}
        found = store_evaluation(version=version, evaluator=row, run=run, result=EvaluationResult(scores))
        EvaluationEntry.objects.create(evaluation_run=asked, version=version, evaluation=found, state="scored")
    return asked
