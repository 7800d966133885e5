"""Choosing cases, a model and how DermCoT is drafted."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.generation import GenerationForm
from scoring.models import NarrativeVersion


class DraftingForm(GenerationForm):
    """Sent by GET: the same address shows the same plan again."""

    field_order = ("model", "conditioning", "split", "source", "tone", "number", "study", "budget_tokens")
    unwritten = None  # type: ignore[assignment]  # what this recipe has drafted is left out by itself
    conditioning = forms.ChoiceField(
        choices=[
            (NarrativeVersion.Conditioning.NONE, _("Not told the label")),
            (NarrativeVersion.Conditioning.LABEL_AT_REASONING, _("Told the label while reasoning")),
        ],
        label=_("Conditioning"),
        help_text=_("Stored with every text and declared in every export. The caption never sees the label."),
    )
    retry_leaks = forms.BooleanField(
        required=False, label=_("Ask once more where a text gives the label away"), label_suffix="", initial=True
    )
    budget_tokens = forms.IntegerField(
        min_value=1,
        required=False,
        label=_("Budget of a try, tokens"),
        help_text=_("Of prompts and answers. Empty: no limit."),
    )

    def chosen(self) -> dict[str, Any]:
        names = ("conditioning", "retry_leaks", "budget_tokens")
        return super().chosen() | {name: self.cleaned_data[name] for name in names}
