from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from annotator.review.case import CANNOT_JUDGE
from scoring.models import Adjudication, Dispute
from scoring.rubric import DIMENSION_KEYS

LONGEST_NOTE = 4000


def entered_scores(fields: Any) -> dict[str, float | None]:
    """The final scores among what was sent; a dimension left empty is left out, so that the service names it.

    Raises ``ValidationError`` keyed by dimension for something that is no level.
    """
    scores: dict[str, float | None] = {}
    problems: dict[str, list[str]] = {}
    for key in DIMENSION_KEYS:
        value = fields.get(key, "").strip()
        if value == CANNOT_JUDGE:
            scores[key] = None
        elif value:
            try:
                scores[key] = float(value)
            except ValueError:
                problems[key] = [str(_("Levels are whole numbers from 0 to 5."))]
    if problems:
        raise ValidationError(problems)
    return scores


class DecisionForm(forms.Form):
    """Cause, decision and her own words; the six scores are read by ``entered_scores``."""

    cause = forms.ChoiceField(
        choices=Adjudication.Cause.choices, error_messages={"required": _("Choose what the dispute came from.")}
    )
    decision = forms.ChoiceField(
        choices=Adjudication.Decision.choices, error_messages={"required": _("Choose a decision.")}
    )
    note = forms.CharField(required=False, max_length=LONGEST_NOTE)


class SettleForm(forms.Form):
    """The answer to a dispute of the reference."""

    outcome = forms.ChoiceField(choices=Dispute.Outcome.choices)
    diagnosis = forms.CharField(required=False, max_length=200)
    reason = forms.CharField(
        max_length=LONGEST_NOTE, error_messages={"required": _("Give the reason for your decision.")}
    )
