from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from annotator.accounts.models import LANGUAGES_READ, Qualification


class StatementForm(forms.Form):
    """What a rater states with her consent; prefilled from her profile, kept with the study."""

    qualification = forms.ChoiceField(label=_("Qualification"), choices=[("", _("Choose…")), *Qualification.choices])
    years_experience = forms.IntegerField(label=_("Years of experience in dermatology"), min_value=0, max_value=80)
    country = forms.CharField(max_length=80, label=_("Country you work in"))
    languages = forms.MultipleChoiceField(
        label=_("Languages you read"),
        choices=list(LANGUAGES_READ.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("You are given narratives in these languages only."),
    )
    conflicts = forms.CharField(
        label=_("Conflicts of interest"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Write “none” if there are none."),
    )

    @classmethod
    def from_profile(cls, user: Any) -> "StatementForm":
        names = ("qualification", "years_experience", "country", "languages", "conflicts")
        return cls(initial={name: getattr(user, name) for name in names})

    def statement(self) -> dict[str, Any]:
        """The cleaned values as ``accept_sheet`` takes them, the qualification in words."""
        with override("en"):  # stored words do not depend on who looked at the page
            words = str(Qualification(self.cleaned_data["qualification"]).label)
        return self.cleaned_data | {"qualification": words}
