"""The exact evaluator of drawn lesions: it knows what each drawing shows, and says so in its name."""

import hashlib
import inspect
import time
from typing import Any

from modelhub.evaluators.base import CannotEvaluate, EvaluationResult, Evaluator
from modelhub.models import SyntheticTruth
from scoring.models import Case, NarrativeVersion
from scoring.rubric import DIMENSION_NAMES


class SyntheticTruthEvaluator(Evaluator):
    name = "Exact evaluator for drawn lesions"
    judges_diagnosis = True

    def identity(self) -> dict[str, Any]:
        """The rules are code, so the code's own hash is what could change a score."""
        from modelhub.ml.synthetic import lesion, terms, truth

        code = "".join(inspect.getsource(module) for module in (lesion, terms, truth))
        return {"provider": "synthetic_truth", "name": self.name, "code": hashlib.sha256(code.encode()).hexdigest()}

    def refusal(self, case: Case) -> str | None:
        if SyntheticTruth.objects.filter(case=case).exists():
            return None
        return "it is not a drawing whose truth is known; the exact evaluator scores drawn lesions only"

    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        from modelhub.ml.synthetic import truth

        began = time.perf_counter()
        drawn = self._lesion(case)
        scores = truth.score(drawn, version.text)
        return EvaluationResult(
            scores=scores,
            critique=_critique(scores),
            parse_status="exact",
            diagnosis_right=self.diagnosis_right(version, case),
            tokens=0,
            seconds=time.perf_counter() - began,
        )

    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        from modelhub.ml.synthetic import truth
        from modelhub.ml.synthetic.lesion import diagnosis

        return truth.stated_diagnosis(version.text) == diagnosis(self._lesion(case))

    def _lesion(self, case: Case) -> Any:
        from modelhub.ml.synthetic.lesion import Lesion

        row = SyntheticTruth.objects.filter(case=case).first()
        if row is None:
            raise CannotEvaluate(f"Case {case.code} cannot be scored: {self.refusal(case)}.")
        return Lesion.from_dict(row.lesion)


def _critique(scores: dict[str, float | None]) -> str:
    lines = (f"{DIMENSION_NAMES[key]}: {_word(value)}" for key, value in scores.items())
    return "Compared with the drawing's own truth.\n" + "\n".join(lines)


def _word(value: float | None) -> str:
    return "cannot be judged from this text" if value is None else f"{value:.2f}"
