"""A finished benchmark with many scored entries, made in bulk: what a leaderboard is computed from."""

import random
from typing import Any

from django.utils import timezone

from modelhub.models import (
    BenchmarkEntry,
    BenchmarkRun,
    Evaluation,
    EvaluationScore,
    Generation,
    ModelVersion,
    Run,
)
from modelhub.services.evaluations import evaluator_version
from modelhub.services.generation import prompt_version
from scoring.models import Case, CaseGroup, DatasetVersion, Narrative, NarrativeVersion
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_source
from tests.modelhub import hub_rows


def make_cases(count: int, *, per_patient: int = 1) -> list[Case]:
    """Evaluation cases without pictures, some of one patient."""
    source = make_source()
    patients = CaseGroup.objects.bulk_create(
        CaseGroup(source=source, key=f"p{number}", split="evaluation") for number in range(-(-count // per_patient))
    )
    return Case.objects.bulk_create(
        Case(source=source, group=patients[number // per_patient], source_key=f"k{number}") for number in range(count)
    )


def make_board(
    levels: list[float],
    *,
    actor: Any,
    cases: list[Case],
    seed: int = 1,
    failed: int = 0,
    dataset: DatasetVersion | None = None,
    models: list[ModelVersion] | None = None,
) -> BenchmarkRun:
    """One model per level, scored around it on every case; the first ``failed`` cases of the first model failed."""
    rng = random.Random(seed)
    chosen = models or [hub_rows.make_model() for _ in levels]
    dataset = dataset or hub_rows.make_dataset(DatasetVersion.Kind.DERMBENCH, actor=actor)
    run = hub_rows.make_run(kind=Run.Kind.BENCHMARK, state=Run.State.SUCCEEDED, finished_at=timezone.now())
    benchmark = BenchmarkRun.objects.create(
        run=run,
        dataset=dataset,
        prompt=prompt_version(text="Describe."),
        evaluator=evaluator_version("synthetic_truth"),
        manifest={"decoding_hash": "d" * 64},
        results={"models": [], "pairs": []},
    )
    benchmark.candidates.set(chosen)
    ease = {case.pk: rng.gauss(0, 0.6) for case in cases}
    for number, (model, level) in enumerate(zip(chosen, levels, strict=True)):
        _fill(
            benchmark, model, cases, lambda case, level=level: level + ease[case.pk], rng, failed if not number else 0
        )
    return benchmark


def _fill(
    benchmark: BenchmarkRun, model: ModelVersion, cases: list[Case], level: Any, rng: random.Random, failed: int
) -> None:
    narratives = Narrative.objects.bulk_create(Narrative(case=case) for case in cases)
    versions = NarrativeVersion.objects.bulk_create(
        NarrativeVersion(
            narrative=narrative,
            number=1,
            text="word " * rng.randint(40, 400),
            steps=[],
            author_kind="machine",
            origin="draft",
            sha256=f"{narrative.pk:064x}",
        )
        for narrative in narratives
    )
    generations = Generation.objects.bulk_create(
        Generation(run=benchmark.run, case=c, model=model, prompt=benchmark.prompt, version=v, state="done")
        for c, v in zip(cases, versions, strict=True)
    )
    evaluations = Evaluation.objects.bulk_create(
        Evaluation(version=v, evaluator=benchmark.evaluator, parse_status="exact") for v in versions[failed:]
    )
    EvaluationScore.objects.bulk_create(
        EvaluationScore(evaluation=e, dimension=key, value=min(5.0, max(0.0, level(case) + rng.gauss(0, 0.4))))
        for e, case in zip(evaluations, cases[failed:], strict=True)
        for key in DIMENSION_KEYS
    )
    BenchmarkEntry.objects.bulk_create(
        BenchmarkEntry(
            benchmark=benchmark,
            case=case,
            model=model,
            generation=generation,
            evaluation=None if at < failed else evaluations[at - failed],
            state="failed" if at < failed else "scored",
            error="The server refused." if at < failed else "",
        )
        for at, (case, generation) in enumerate(zip(cases, generations, strict=True))
    )
