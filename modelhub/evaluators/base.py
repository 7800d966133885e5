"""What an evaluator is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scoring.models import Case, NarrativeVersion


class CannotEvaluate(Exception):
    """This version cannot be scored by this evaluator; the message says why."""


@dataclass(frozen=True)
class EvaluationResult:
    """``scores``: the six keys, 0 to 5, ``None`` where there is none. ``parse_status`` as in ``Evaluation.Parse``.

    ``diagnosis_right`` is ``None`` where the evaluator does not judge it. ``cost`` in US dollars, ``seconds`` of wall
    time; ``None`` where unknown.
    """

    scores: Mapping[str, float | None]
    critique: str = ""
    parse_status: str = "parsed"
    diagnosis_right: bool | None = None
    tokens: int | None = None
    cost: Decimal | None = None
    seconds: float | None = field(default=None)


class Evaluator(ABC):
    """Scores narrative versions. ``identity`` is everything that could change a score, as plain data."""

    name: str

    @abstractmethod
    def identity(self) -> dict[str, Any]: ...

    @abstractmethod
    def refusal(self, case: Case) -> str | None:
        """Why this case cannot be evaluated at all, or ``None``."""

    @abstractmethod
    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        """Raises ``CannotEvaluate``."""

    @abstractmethod
    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        """Whether the text concludes with the right diagnosis; ``None`` where this is not judged."""
