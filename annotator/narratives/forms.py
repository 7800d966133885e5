from django import forms
from django.utils.translation import gettext_lazy as _

from annotator.accounts.models import LANGUAGES_READ
from scoring.services.narratives import LONGEST_TEXT


class WriteForm(forms.Form):
    """A narrative written by a person from nothing but the case."""

    language = forms.ChoiceField(label=_("Language"), choices=list(LANGUAGES_READ.items()), initial="en")
    text = forms.CharField(
        label=_("Narrative"),
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text=_("Findings, differential, conclusion: <think> … </think><answer> … </answer>, or under headings."),
    )

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n").strip()
