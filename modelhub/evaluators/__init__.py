"""What scores narratives in place of people: one provider per file, one line here."""

from modelhub.evaluators.base import EvaluationResult, Evaluator
from modelhub.evaluators.synthetic_truth import SyntheticTruthEvaluator

PROVIDERS: dict[str, type[Evaluator]] = {
    "synthetic_truth": SyntheticTruthEvaluator,
}

__all__ = ["PROVIDERS", "EvaluationResult", "Evaluator"]
