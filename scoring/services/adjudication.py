"""Adjudication: her scores, the reason and the cause in one step; the certification rule's own service decides."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from scoring.models import Adjudication, Certification, FinalScore
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.certification import adjudicate

Decision = Adjudication.Decision


@transaction.atomic
def decide_case(
    *,
    certification: Certification,
    adjudicator: Any,
    scores: Mapping[str, float | None],
    cause: str,
    decision: str,
    note: str = "",
) -> Certification:
    """The adjudicator's final scores (``None``: cannot be judged), the cause of the dispute and the decision.

    The stored reason is the decision in English words and her note. Raises ``ValidationError``, keyed by field
    where one is at fault, for what is missing or off the scale, and whatever ``adjudicate`` refuses.
    """
    problems: dict[str, list[str]] = {}
    for key in DIMENSION_KEYS:
        if key not in scores:
            problems[key] = [_("Give a level, or x where it cannot be judged.")]
        elif scores[key] is not None and scores[key] not in LEVELS:
            problems[key] = [_("Levels are whole numbers from 0 to 5.")]
    if cause not in Adjudication.Cause.values:
        problems["cause"] = [_("Choose what the dispute came from.")]
    if decision not in Decision.values:
        problems["decision"] = [_("Choose a decision.")]
    if problems:
        raise ValidationError(problems)
    outcome = Certification.Outcome
    decided = adjudicate(
        certification=certification,
        adjudicator=adjudicator,
        outcome=outcome.CERTIFIED if decision in Adjudication.ACCEPTING else outcome.REJECTED,
        reason=_reason(decision, note),
    )
    adjudication = Adjudication.objects.create(certification=decided, decision=decision, cause=cause, note=note.strip())
    FinalScore.objects.bulk_create(
        FinalScore(adjudication=adjudication, dimension=key, value=scores[key]) for key in DIMENSION_KEYS
    )
    return decided


def _reason(decision: str, note: str) -> str:
    with override("en"):
        words = str(Decision(decision).label)
    return f"{words}. {note.strip()}".strip() if note.strip() else f"{words}."
