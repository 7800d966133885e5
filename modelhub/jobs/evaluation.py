"""Scores a pool of narratives with one evaluator; started again, it goes on with what is missing."""

from collections.abc import Iterator
from itertools import islice

from modelhub.evaluators.base import CannotEvaluate, Evaluator, Item, Outcome
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.jobs.judging import failure_in, scoring_with
from modelhub.jobs.retest import retest_pending
from modelhub.models import EvaluationEntry, EvaluationRun, EvaluatorVersion
from modelhub.services.calibrating import compute_calibration
from modelhub.services.evaluations import evaluator_summary, store_evaluation
from modelhub.services.evaluator_figures import evaluation_results

PENDING, SCORED, FAILED = EvaluationEntry.State.PENDING, EvaluationEntry.State.SCORED, EvaluationEntry.State.FAILED
AT_ONCE = 200  # entries read together


def run(context: RunContext) -> None:
    found = EvaluationRun.objects.select_related("run", "evaluator__rubric", "evaluator__model", "evaluator__prompt")
    asked = found.get(run=context.run)
    if context.run.attempt == 1:  # a new try, not a resumed one
        with context.holding():
            asked.entries.filter(state=FAILED).update(state=PENDING, error="")
            asked.retests.filter(state=FAILED).update(state=PENDING, error="")
    with scoring_with(context, asked.evaluator) as evaluator:
        score_pending(context, asked, evaluator)
        retest_pending(context, asked, evaluator)
    finish(context, asked)


def score_pending(context: RunContext, asked: EvaluationRun, evaluator: Evaluator) -> None:
    expected, again = asked.entries.count(), asked.retests.count()
    done = expected - asked.entries.filter(state=PENDING).count()
    entries: dict[int, EvaluationEntry] = {}

    def waiting() -> Iterator[Item]:
        for entry in pending(asked):
            entries[entry.version_id] = entry
            reference = entry.reference.text if entry.reference and evaluator.needs_reference else ""
            yield Item(entry.version, entry.version.narrative.case, reference)

    for item, outcome in evaluator.evaluate_all(waiting(), run=context.run, tick=context.check):
        done += 1
        with context.holding():
            settle(asked, entries.pop(item.version.pk), item, outcome)
            context.progress(done, expected + again, f"{done} of {expected} narratives")


def pending(asked: EvaluationRun) -> Iterator[EvaluationEntry]:
    """In order, read by and by: their texts do not all fit into memory."""
    keys = iter(list(asked.entries.filter(state=PENDING).order_by("pk").values_list("pk", flat=True)))
    while some := [*islice(keys, AT_ONCE)]:
        related = asked.entries.filter(pk__in=some).select_related("reference", "version__narrative__case__source")
        yield from related.prefetch_related("version__narrative__case__images").order_by("pk")


def settle(asked: EvaluationRun, entry: EvaluationEntry, item: Item, outcome: Outcome) -> None:
    if not isinstance(outcome, CannotEvaluate):
        entry.evaluation = store_evaluation(
            version=item.version, evaluator=asked.evaluator, run=asked.run, result=outcome, reference=item.reference
        )
    entry.error = failure_in(outcome)
    entry.state = FAILED if entry.error else SCORED
    entry.save()


def finish(context: RunContext, asked: EvaluationRun) -> None:
    """Store what it adds up to. Raises ``JobFailed`` when nothing could be scored."""
    context.write(message="Comparing with physicians")
    results = evaluation_results(asked) | {"evaluator": evaluator_summary(asked.evaluator)}
    calibration = compute_calibration(asked.evaluator)
    with context.holding():
        EvaluationRun.objects.filter(pk=asked.pk).update(results=results)
        EvaluatorVersion.objects.filter(pk=asked.evaluator.pk).update(calibration=calibration)
    if not results["scored"]:
        first = asked.entries.filter(state=FAILED).order_by("pk").first()
        raise JobFailed(f"No narrative could be scored. {first.error if first else ''}".strip())
    failed = f", {results['failed']} failed" if results["failed"] else ""
    context.write(message=f"{results['scored']} narratives scored{failed}")
