"""Asking for a DermBench run: which models write about the held-out cases, and who scores them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.evaluators.closed_labels import ClosedLabelsEvaluator
from modelhub.evaluators.providers import open_evaluator
from modelhub.models import (
    BenchmarkEntry,
    BenchmarkRun,
    EvaluatorVersion,
    Generation,
    ModelVersion,
    PromptVersion,
    Run,
)
from modelhub.services.endpoints import STAYS, check_endpoint_settings, leaves_site
from modelhub.services.evaluations import closed_labels_version, evaluator_version
from modelhub.services.generation import closed_prompt, prompt_text, prompt_version
from modelhub.services.model_settings import generation_settings
from modelhub.services.runs import create_run
from scoring.digest import content_hash
from scoring.models import Case, DatasetVersion

MOST_MODELS = 14
MOST_NAMED = 20
LABELLED = DatasetVersion.Kind.LABELLED
CLOSED = ClosedLabelsEvaluator.provider


@transaction.atomic
def request_benchmark(
    *,
    dataset: DatasetVersion,
    models: Sequence[ModelVersion],
    evaluator: str = "synthetic_truth",
    settings: Mapping[str, Any] | None = None,
    actor: Any,
) -> Run:
    """Queue a run: each model writes about each held-out case, ``evaluator`` scores what they wrote.

    ``evaluator`` as ``evaluator_version`` takes it; on a classification version it judges the final diagnosis alone, or
    is ``CLOSED``: the models are shown the labels, and their words are read. The candidates are not queued for rating.
    Raises ``ValidationError`` for a dataset of training cases, no model or one twice, models of different prompts,
    cases that cannot be written about or scored (by name), a bad setting.
    """
    chosen = list(models)
    cases = benchmark_cases(dataset)
    labels = sorted(set(dataset.labelled.values_list("label", flat=True)))
    closed = bool(labels) and evaluator == CLOSED
    scorer = closed_labels_version(labels) if closed else evaluator_version(evaluator)
    _check(dataset, chosen, scorer, cases)
    complete = generation_settings(chosen[0], settings)
    for model in chosen:
        check_endpoint_settings(model, complete)
    prompt = _prompt(chosen, labels if closed else [])
    run = create_run(
        kind=Run.Kind.BENCHMARK,
        title=f"{dataset}: {', '.join(model.name for model in chosen)}",
        plan={
            "dataset": str(dataset.public_id),
            "models": [str(model.public_id) for model in chosen],
            "settings": complete,
        },
        actor=actor,
        total=2 * len(cases) * len(chosen),  # to write and to score
    )
    _make_rows(run, dataset, chosen, cases, prompt, scorer, complete)
    return run


def benchmark_cases(dataset: DatasetVersion) -> list[Case]:
    """The held-out cases, each once, in the dataset's order."""
    if dataset.kind == LABELLED:
        return [one.case for one in dataset.labelled.select_related("case__source").order_by("position")]
    items = dataset.items.select_related("version__narrative__case__source").order_by("position")
    return list({item.version.narrative.case_id: item.version.narrative.case for item in items}.values())


def _prompt(models: list[ModelVersion], labels: list[str]) -> PromptVersion:
    """The narrative prompt, or its sibling that lists the labels."""
    if not labels:
        return prompt_version(text=prompt_text(models[0]))
    if unable := [model.name for model in models if model.synthetic]:
        raise ValidationError(
            f"{', '.join(unable)} understands only the words it was trained with and cannot be shown a list of labels. "
            "Choose the open-ended way of asking."
        )
    return prompt_version(text=closed_prompt(labels), name="Closed labels")


def _check(dataset: DatasetVersion, models: list[ModelVersion], evaluator: EvaluatorVersion, cases: list[Case]) -> None:
    if dataset.kind not in (DatasetVersion.Kind.DERMBENCH, LABELLED):
        raise ValidationError(f"{dataset} holds training cases. Choose a version of DermBench.")
    if not 1 <= len(models) <= MOST_MODELS:
        raise ValidationError(f"Choose one to {MOST_MODELS} models.")
    if len({model.pk for model in models}) != len(models):
        raise ValidationError("A model is chosen twice. Choose different models.")
    if len({prompt_text(model) for model in models}) != 1:
        raise ValidationError(
            "These models are asked with different words and cannot be compared. Benchmark them apart."
        )
    scorer = open_evaluator(evaluator)
    if dataset.kind == LABELLED and not scorer.judges_diagnosis:
        raise ValidationError(
            f"{scorer.name} does not judge the final diagnosis. Choose a judge that was registered to do so."
        )
    refused = [(case.code, reason) for case in cases if (reason := scorer.refusal(case))]
    refused += [(case.code, "it has no image") for case in cases if not case.images.exists()]
    if any(leaves_site(model) for model in models):
        refused += [(case.code, STAYS) for case in cases if not case.source.may_leave_site]
    if refused:
        named = "; ".join(f"case {code}: {reason}" for code, reason in refused[:MOST_NAMED])
        more = f"; and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise ValidationError(f"{dataset} cannot be written about and scored by {scorer.name}: {named}{more}.")


def _make_rows(
    run: Run,
    dataset: DatasetVersion,
    models: list[ModelVersion],
    cases: list[Case],
    prompt: PromptVersion,
    scorer: EvaluatorVersion,
    settings: dict[str, Any],
) -> None:
    benchmark = BenchmarkRun.objects.create(
        run=run,
        dataset=dataset,
        prompt=prompt,
        evaluator=scorer,
        manifest={
            "dataset": dataset.content_hash,
            "models": [{"name": model.name, "weights": model.weights_hash, "family": model.kin} for model in models],
            "prompt": prompt.content_hash,
            "decoding": settings,
            "decoding_hash": content_hash(settings),
            "evaluator": scorer.identity_hash,
            "evaluator_family": scorer.model.kin if scorer.model else "",
            "rubric": scorer.rubric.content_hash,
        },
    )
    benchmark.candidates.set(models)
    Generation.objects.bulk_create(
        Generation(run=run, case=case, model=model, prompt=prompt) for model in models for case in cases
    )
    rows = {(row.case_id, row.model_id): row for row in Generation.objects.filter(run=run)}
    BenchmarkEntry.objects.bulk_create(
        BenchmarkEntry(benchmark=benchmark, case=case, model=model, generation=rows[case.pk, model.pk])
        for model in models
        for case in cases
    )
