"""Reads which one of some listed labels a text concludes with, by its words alone."""

from collections.abc import Sequence
from typing import Any

from modelhub.evaluators.base import CannotEvaluate, EvaluationResult, Evaluator
from modelhub.models import EvaluatorVersion
from scoring.closed_labels import ClosedLabels
from scoring.models import Case, NarrativeVersion

READER = 1  # raised when the same answer would be read in another way
SEVERAL = "The answer names several of the listed labels"
NONE = "The answer affirms none of the listed labels"


class ClosedLabelsEvaluator(Evaluator):
    """``row.identity`` lists the labels. What is compared with is the case's label, never the picture."""

    provider, name = "closed_labels", "Words of the listed labels"
    judges_diagnosis = True

    def __init__(self, row: EvaluatorVersion) -> None:
        self.row = row
        self._closed = ClosedLabels(row.identity["labels"])

    def identity(self) -> dict[str, Any]:
        return labels_identity(self._closed.labels)

    def refusal(self, case: Case) -> str | None:
        return None

    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        """Raises ``CannotEvaluate`` where not exactly one label is affirmed: it is never guessed."""
        named = self._closed.only(version.diagnosis)
        if named is None:
            why = SEVERAL if len(self._closed.named(version.diagnosis)) > 1 else NONE
            said = f": “{version.diagnosis[:200]}”" if version.diagnosis else ""
            raise CannotEvaluate(f"{why}{said}.")
        return EvaluationResult(
            scores={}, parse_status="exact", diagnosis_right=named == case.diagnosis, diagnosis_note=named, tokens=0
        )

    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        named = self._closed.only(version.diagnosis)
        return None if named is None else named == case.diagnosis


def labels_identity(labels: Sequence[str]) -> dict[str, Any]:
    return {"provider": ClosedLabelsEvaluator.provider, "labels": sorted(labels), "reader": READER}
