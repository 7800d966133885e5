from django import forms

from scoring.models import Certification


class DecisionForm(forms.Form):
    """The adjudicator's decision with its reason."""

    outcome = forms.ChoiceField(
        choices=[
            (Certification.Outcome.CERTIFIED.value, "Accept"),
            (Certification.Outcome.REJECTED.value, "Reject"),
        ],
        error_messages={"required": "Decide to accept or to reject."},
    )
    reason = forms.CharField(
        label="Reason for your decision",
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "Give the reason for your decision."},
        help_text="Stored with the verdict; administrators and researchers read it.",
    )
