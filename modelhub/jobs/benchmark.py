"""A DermBench run: candidates by each model, their scores, the results; goes on where a killed worker stopped."""

from collections.abc import Iterator
from itertools import islice

from modelhub.evaluators.base import CannotEvaluate, Evaluator, Item, Outcome
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.judging import failure_in, scoring_with
from modelhub.jobs.writing import write_pending
from modelhub.models import BenchmarkEntry, BenchmarkRun, Generation, ModelVersion
from modelhub.services.benchmark_results import compute_results
from modelhub.services.evaluations import evaluator_summary, store_evaluation
from scoring.models import DatasetVersion

PENDING, SCORED, FAILED = BenchmarkEntry.State.PENDING, BenchmarkEntry.State.SCORED, BenchmarkEntry.State.FAILED
AT_ONCE = 200  # entries read together


def run(context: RunContext) -> None:
    found = BenchmarkRun.objects.select_related("evaluator__rubric", "evaluator__model", "evaluator__prompt", "dataset")
    benchmark = found.get(run=context.run)
    models = ordered_models(context.run.plan["models"])
    if context.run.attempt == 1:  # a new try, not a resumed one
        reopen_failed(context, benchmark)
    for model in models:
        write_pending(context, model, context.run.plan["settings"], finished=lambda row: count(context, benchmark, row))
    with scoring_with(context, benchmark.evaluator) as evaluator:
        score_pending(context, benchmark, evaluator)
        finish(context, benchmark, models)


def ordered_models(public_ids: list[str]) -> list[ModelVersion]:
    found = {str(model.public_id): model for model in ModelVersion.objects.filter(public_id__in=public_ids)}
    return [found[public_id] for public_id in public_ids]


def reopen_failed(context: RunContext, benchmark: BenchmarkRun) -> None:
    with context.holding():
        failed = Generation.objects.filter(run=context.run, state=Generation.State.FAILED)
        failed.update(state=Generation.State.PENDING, error="")
        BenchmarkEntry.objects.filter(benchmark=benchmark, state=FAILED).update(state=PENDING, error="")


def count(context: RunContext, benchmark: BenchmarkRun, row: Generation | None = None) -> None:
    """Progress: narratives written (or failed) plus entries scored (or failed)."""
    rows = Generation.objects.filter(run=context.run)
    written = rows.exclude(state=Generation.State.PENDING).count()
    scored = BenchmarkEntry.objects.filter(benchmark=benchmark).exclude(state=PENDING).count()
    expected = rows.count()
    message = f"{written} of {expected} narratives" if written < expected else f"{scored} of {expected} scored"
    context.progress(written + scored, 2 * expected, message)


def score_pending(context: RunContext, benchmark: BenchmarkRun, evaluator: Evaluator) -> None:
    items = benchmark.dataset.items.select_related("version__narrative")
    references = {item.version.narrative.case_id: item.version.text for item in items}
    labels = dict(benchmark.dataset.labelled.values_list("case_id", "label"))
    asked: dict[int, BenchmarkEntry] = {}

    def waiting() -> Iterator[Item]:
        for entry in pending(benchmark):
            version = entry.generation.version if entry.generation else None
            if version is None:
                error = entry.generation.error if entry.generation else ""
                settle(context, benchmark, entry, None, CannotEvaluate(f"No narrative: {error}"))
            else:
                asked[version.pk] = entry
                entry.case.diagnosis = labels.get(entry.case_id, entry.case.diagnosis)  # as it was frozen
                yield Item(version, entry.case, references.get(entry.case_id, ""))

    judged = evaluator.judge_diagnoses if labels else evaluator.evaluate_all
    for item, outcome in judged(waiting(), run=context.run, tick=context.check):
        settle(context, benchmark, asked.pop(item.version.pk), item, outcome)


def pending(benchmark: BenchmarkRun) -> Iterator[BenchmarkEntry]:
    """In order, read by and by: their texts do not all fit into memory."""
    entries = BenchmarkEntry.objects.filter(benchmark=benchmark)
    keys = iter(list(entries.filter(state=PENDING).order_by("pk").values_list("pk", flat=True)))
    while some := [*islice(keys, AT_ONCE)]:
        related = entries.filter(pk__in=some).select_related("case__source", "generation__version").order_by("pk")
        yield from related.prefetch_related("case__images")


def settle(
    context: RunContext, benchmark: BenchmarkRun, entry: BenchmarkEntry, item: Item | None, outcome: Outcome
) -> None:
    """One entry, scored or failed with a reason, in one transaction under the lease."""
    with context.holding():
        evaluation = None
        if item is not None and not isinstance(outcome, CannotEvaluate):
            evaluation = store_evaluation(
                version=item.version,
                evaluator=benchmark.evaluator,
                run=context.run,
                result=outcome,
                reference=compared_with(benchmark, item),
            )
        entry.error = failure_in(outcome)
        entry.state, entry.evaluation = (FAILED, None) if entry.error else (SCORED, evaluation)
        entry.save()
        count(context, benchmark)


def compared_with(benchmark: BenchmarkRun, item: Item) -> str:
    """The text that an evaluation is kept beside: a label alone is not confused with the case's reference text."""
    if benchmark.dataset.kind == DatasetVersion.Kind.LABELLED:
        return f"Label: {item.case.diagnosis}"
    return item.reference if benchmark.evaluator.needs_reference else ""


def finish(context: RunContext, benchmark: BenchmarkRun, models: list[ModelVersion]) -> None:
    """Store the results. Raises ``JobFailed`` when nothing could be scored; an answer that names no diagnosis is a
    result where these alone are judged, so there it fails only when nothing was written."""
    results = compute_results(benchmark, models)
    results["evaluator"] = evaluator_summary(benchmark.evaluator)
    for model, stored in zip(models, results["models"], strict=True):
        stored["family"] = model.kin
    scored, failed = (sum(model[name] for model in results["models"]) for name in ("scored", "failed"))
    labelled = benchmark.dataset.kind == DatasetVersion.Kind.LABELLED
    if not scored and not (labelled and benchmark.entries.filter(generation__version__isnull=False).exists()):
        first = results["failures"][0]["error"] if results["failures"] else ""
        raise JobFailed(f"No candidate could be scored. {first}".strip())
    with context.holding():
        BenchmarkRun.objects.filter(pk=benchmark.pk).update(results=results)
        context.write(message=f"{scored} candidates scored" + (f", {failed} failed" if failed else ""))
