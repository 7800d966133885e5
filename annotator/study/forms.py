"""Forms of the study's protocol, its amendments, raters and information sheets."""

from typing import Any

from django import forms

from annotator.accounts.models import User
from annotator.accounts.roles import DERMATOLOGIST
from scoring.models import Study
from scoring.services.studies import AMENDABLE

LONG = {
    "question": "What the study asks.",
    "inclusion": "Which cases and narratives belong to it.",
    "exclusion_rules": "Which ratings will be left out of the analysis, decided now.",
    "planned_analysis": "What will be computed, decided now.",
    "ethics": "Approval number, or why none is needed.",
}


class ProtocolForm(forms.ModelForm):
    """A draft's whole protocol. ``arms`` is one label a line."""

    arms = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What is compared, one plain label a line. Raters never see them.",
    )

    class Meta:
        model = Study
        fields = [
            "title",
            "question",
            "arms",
            "inclusion",
            "exclusion_rules",
            "planned_analysis",
            "ethics",
            "overlap",
            "reveal",
            "strategy",
            "seed",
            "lease_minutes",
        ]
        labels = {
            "reveal": "Show the reference diagnosis to the rater",
            "strategy": "Order of the queue",
            "overlap": "Ratings per narrative",
            "lease_minutes": "Minutes a narrative is held for its rater",
        }
        help_texts = LONG
        widgets = {name: forms.Textarea(attrs={"rows": 3}) for name in LONG}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["overlap"].widget.attrs["min"] = 1
        self.fields["lease_minutes"].widget.attrs["min"] = 1
        if self.instance.pk:
            self.initial["arms"] = "\n".join(self.instance.arms)

    def clean_arms(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["arms"].splitlines() if line.strip()]

    def clean_lease_minutes(self) -> int:
        minutes: int = self.cleaned_data["lease_minutes"]
        if minutes < 1:
            raise forms.ValidationError("Hold a narrative for at least one minute.")
        return minutes

    def _post_clean(self) -> None:
        """The service validates the whole study; the instance stays as it is stored."""


class AmendmentForm(forms.ModelForm):
    """The parts of a started study that an amendment may change, with the reason."""

    reason = forms.CharField(
        label="Reason for the amendment",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Give the reason for the amendment."},
    )

    class Meta:
        model = Study
        fields = list(AMENDABLE)
        labels = ProtocolForm.Meta.labels
        widgets = {name: forms.Textarea(attrs={"rows": 3}) for name in LONG}

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in AMENDABLE if name in self.changed_data}

    def _post_clean(self) -> None:
        """As above: the service judges the study as a whole."""


class InviteForm(forms.Form):
    """Dermatologists who are not in the study yet."""

    rater = forms.ModelChoiceField(
        queryset=User.objects.none(), to_field_name="public_id", empty_label="Choose a dermatologist…"
    )

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True, groups__name=DERMATOLOGIST)
        self.fields["rater"].queryset = people.exclude(enrolments__study=study).order_by("username")  # type: ignore[attr-defined]


class SheetForm(forms.Form):
    """A new version of the information sheet."""

    text = forms.CharField(
        label="Information sheet",
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text="Say what raters do, who sees their performance, how exports name them, and that they may withdraw.",
    )
