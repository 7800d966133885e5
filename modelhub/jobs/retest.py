"""The second asking about a share of the narratives; started again, it goes on with what is missing."""

from collections.abc import Iterator

from modelhub.evaluators.base import CannotEvaluate, Evaluator, Item, Outcome
from modelhub.jobs.base import RunContext
from modelhub.jobs.judging import failure_in
from modelhub.models import EvaluationRun, RetestEntry
from scoring.rubric import DIMENSION_KEYS

PENDING, SCORED, FAILED = RetestEntry.State.PENDING, RetestEntry.State.SCORED, RetestEntry.State.FAILED
REPEAT = 1  # which asking after the first


def retest_pending(context: RunContext, asked: EvaluationRun, evaluator: Evaluator) -> None:
    first, total = asked.entries.count(), asked.retests.count()
    done = total - asked.retests.filter(state=PENDING).count()
    entries: dict[int, RetestEntry] = {}

    def waiting() -> Iterator[Item]:
        related = asked.retests.filter(state=PENDING).select_related("reference", "version__narrative__case__source")
        for entry in related.prefetch_related("version__narrative__case__images").order_by("pk"):
            entries[entry.version_id] = entry
            reference = entry.reference.text if entry.reference and evaluator.needs_reference else ""
            yield Item(entry.version, entry.version.narrative.case, reference, repeat=REPEAT)

    for item, outcome in evaluator.evaluate_all(waiting(), run=context.run, tick=context.check):
        done += 1
        with context.holding():
            settle(entries.pop(item.version.pk), outcome)
            context.progress(first + done, first + total, f"{done} of {total} narratives a second time")


def settle(entry: RetestEntry, outcome: Outcome) -> None:
    if not isinstance(outcome, CannotEvaluate):
        entry.scores = {key: outcome.scores.get(key) for key in DIMENSION_KEYS}
    entry.error = failure_in(outcome)
    entry.state = FAILED if entry.error else SCORED
    entry.save()
