"""What the jobs that score narratives have in common."""

from collections.abc import Iterator
from contextlib import contextmanager

from modelhub.evaluators.base import CannotEvaluate, Evaluator, Outcome
from modelhub.evaluators.desk import JudgeStopped
from modelhub.evaluators.reply import FAILED
from modelhub.jobs.base import JobFailed, RunContext
from modelhub.models import EvaluatorVersion
from modelhub.services.evaluations import evaluator_of
from modelhub.services.judges import try_canaries

UNREADABLE = "The judge's answer could not be read: {problem}."


@contextmanager
def scoring_with(context: RunContext, row: EvaluatorVersion) -> Iterator[Evaluator]:
    """The evaluator of a row, a judge after its canaries. Raises ``JobFailed`` where it cannot be asked (any more)."""
    try:
        evaluator = evaluator_of(row)
        if row.is_judge:
            context.write(message=f"Trying the canaries of {row.name}")
            try_canaries(evaluator=row, run=context.run, tick=context.check)
        yield evaluator
    except (ValueError, JudgeStopped) as error:
        raise JobFailed(str(error)) from error


def failure_in(outcome: Outcome) -> str:
    """Why an outcome is no score, in words; empty for one that is."""
    if isinstance(outcome, CannotEvaluate):
        return str(outcome)
    return UNREADABLE.format(problem=outcome.problem) if outcome.parse_status == FAILED else ""
