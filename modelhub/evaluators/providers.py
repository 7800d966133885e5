"""Every evaluator: those that come with the program by name, and judges, which people register."""

from modelhub.evaluators.base import Evaluator
from modelhub.evaluators.judge import JudgeEvaluator
from modelhub.evaluators.synthetic_truth import SyntheticTruthEvaluator
from modelhub.models import EvaluatorVersion

BUILT_IN: dict[str, type[SyntheticTruthEvaluator]] = {"synthetic_truth": SyntheticTruthEvaluator}


def open_evaluator(row: EvaluatorVersion) -> Evaluator:
    """The evaluator of a row, as it would work now."""
    return JudgeEvaluator(row) if row.provider == JudgeEvaluator.provider else BUILT_IN[row.provider]()
