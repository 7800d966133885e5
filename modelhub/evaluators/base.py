"""What an evaluator is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from modelhub.models import Run
from scoring.models import Case, NarrativeVersion


class CannotEvaluate(Exception):
    """This version cannot be scored by this evaluator; the message says why."""


@dataclass(frozen=True)
class EvaluationResult:
    """``scores``: the six keys, 0 to 5, ``None`` where there is none. ``parse_status`` as in ``Evaluation.Parse``.

    ``problem``: what could not be read. ``diagnosis_right`` is ``None`` where it was not judged or could not be read,
    ``diagnosis_note`` says more. ``cost`` in US dollars, ``seconds`` of wall time; ``None`` where unknown.
    """

    scores: Mapping[str, float | None]
    critique: str = ""
    parse_status: str = "parsed"
    problem: str = ""
    diagnosis_right: bool | None = None
    diagnosis_note: str = ""
    tokens: int | None = None
    cost: Decimal | None = None
    seconds: float | None = field(default=None)


@dataclass(frozen=True)
class Item:
    """A narrative to be scored, its case, and the reference text beside it; empty where there is none.

    ``repeat``: above 0 where it is asked about again; a stored answer to an earlier asking is then none to this one.
    """

    version: NarrativeVersion
    case: Case
    reference: str = ""
    repeat: int = 0


Outcome = EvaluationResult | CannotEvaluate
UNREAD = "No final diagnosis could be read"


class Evaluator(ABC):
    """Scores narrative versions. ``identity`` is everything that could change a score, as plain data."""

    name: str
    needs_reference = False
    judges_diagnosis = False

    @abstractmethod
    def identity(self) -> dict[str, Any]: ...

    @abstractmethod
    def refusal(self, case: Case) -> str | None:
        """Why this case cannot be evaluated at all, or ``None``."""

    @abstractmethod
    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        """Raises ``CannotEvaluate``."""

    def evaluate_all(
        self, items: Iterable[Item], *, run: Run | None = None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Each item with its outcome, as it comes. What ``tick`` raises ends the work."""
        for item in items:
            tick()
            try:
                yield item, self.evaluate(item.version, item.case)
            except CannotEvaluate as error:
                yield item, error

    def judge_diagnoses(
        self, items: Iterable[Item], *, run: Run | None = None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Outcome]]:
        """As ``evaluate_all``, of the final diagnosis alone: an outcome has no scores, and one unread is no outcome."""
        for item, outcome in self.evaluate_all(items, run=run, tick=tick):
            yield item, outcome if isinstance(outcome, CannotEvaluate) else diagnosis_alone(outcome)

    @abstractmethod
    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        """Whether the text concludes with the right diagnosis; ``None`` where this is not judged."""


def diagnosis_alone(result: EvaluationResult) -> Outcome:
    if result.diagnosis_right is None:
        return CannotEvaluate(f"{UNREAD}. {result.diagnosis_note}".strip())
    status = "exact" if result.parse_status == "exact" else "parsed"
    return replace(result, scores={}, critique="", parse_status=status, problem="")
