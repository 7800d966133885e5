"""Every evaluator: those that come with the program by name, judges, which people register, and trained DermEvals."""

from modelhub.evaluators.base import Evaluator
from modelhub.evaluators.closed_labels import ClosedLabelsEvaluator
from modelhub.evaluators.dermeval import DermEvalEvaluator
from modelhub.evaluators.judge import JudgeEvaluator
from modelhub.evaluators.synthetic_truth import SyntheticTruthEvaluator
from modelhub.models import EvaluatorVersion

BUILT_IN: dict[str, type[SyntheticTruthEvaluator]] = {"synthetic_truth": SyntheticTruthEvaluator}


def open_evaluator(row: EvaluatorVersion) -> Evaluator:
    """The evaluator of a row, as it would work now."""
    if row.provider == DermEvalEvaluator.provider:
        return DermEvalEvaluator(row)
    if row.provider == ClosedLabelsEvaluator.provider:
        return ClosedLabelsEvaluator(row)
    return JudgeEvaluator(row) if row.provider == JudgeEvaluator.provider else BUILT_IN[row.provider]()
