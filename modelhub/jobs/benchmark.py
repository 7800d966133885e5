"""A DermBench run: candidates by each model, their scores, the results; goes on where a killed worker stopped."""

from modelhub.evaluators.base import CannotEvaluate, Evaluator
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.writing import write_pending
from modelhub.models import BenchmarkEntry, BenchmarkRun, Generation, ModelVersion
from modelhub.services.benchmark_results import compute_results
from modelhub.services.evaluations import evaluator_of, store_evaluation

PENDING, SCORED, FAILED = BenchmarkEntry.State.PENDING, BenchmarkEntry.State.SCORED, BenchmarkEntry.State.FAILED


def run(context: RunContext) -> None:
    benchmark = BenchmarkRun.objects.select_related("evaluator__rubric", "dataset").get(run=context.run)
    models = ordered_models(context.run.plan["models"])
    try:
        evaluator = evaluator_of(benchmark.evaluator)
    except ValueError as error:
        raise JobFailed(str(error)) from error
    if context.run.attempt == 1:  # a new try, not a resumed one
        reopen_failed(context, benchmark)
    for model in models:
        write_pending(context, model, context.run.plan["settings"], finished=lambda row: count(context, benchmark, row))
    for entry in pending(benchmark):
        context.check()
        score(context, benchmark, evaluator, entry)
    finish(context, benchmark, models, evaluator)


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


def pending(benchmark: BenchmarkRun) -> list[BenchmarkEntry]:
    entries = BenchmarkEntry.objects.filter(benchmark=benchmark, state=PENDING).order_by("pk")
    return list(entries.select_related("case", "generation__version"))


def score(context: RunContext, benchmark: BenchmarkRun, evaluator: Evaluator, entry: BenchmarkEntry) -> None:
    """One entry, scored or failed with a reason, in one transaction under the lease."""
    generation = entry.generation
    assert generation is not None  # made with the entry
    result = None
    try:
        if generation.version is None:
            raise CannotEvaluate(f"No narrative: {generation.error}")
        result = evaluator.evaluate(generation.version, entry.case)
    except CannotEvaluate as error:
        entry.state, entry.error = FAILED, str(error)
    with context.holding():
        if result is not None and generation.version is not None:
            entry.evaluation = store_evaluation(
                version=generation.version, evaluator=benchmark.evaluator, run=context.run, result=result
            )
            entry.state = SCORED
        entry.save()
        count(context, benchmark)


def finish(context: RunContext, benchmark: BenchmarkRun, models: list[ModelVersion], evaluator: Evaluator) -> None:
    """Store the results. Raises ``JobFailed`` when nothing could be scored."""
    results = compute_results(benchmark, models, evaluator)
    scored, failed = (sum(model[name] for model in results["models"]) for name in ("scored", "failed"))
    if not scored:
        first = results["failures"][0]["error"] if results["failures"] else ""
        raise JobFailed(f"No candidate could be scored. {first}".strip())
    with context.holding():
        BenchmarkRun.objects.filter(pk=benchmark.pk).update(results=results)
        context.write(message=f"{scored} candidates scored" + (f", {failed} failed" if failed else ""))
