from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.models import ModelVersion
from scoring.models import Comparison, Study


class ComparisonForm(forms.ModelForm):
    """Two models whose texts raters compare, and on what terms."""

    first_model = forms.ModelChoiceField(ModelVersion.objects, to_field_name="public_id", label=_("First model"))
    second_model = forms.ModelChoiceField(ModelVersion.objects, to_field_name="public_id", label=_("Second model"))

    class Meta:
        model = Comparison
        fields = ["study", "first_arm", "second_arm", "overlap", "on_identity", "reveal"]
        labels = {"study": _("Study")}
        help_texts = {
            "first_arm": _("A plain label. Raters see it only if you let them learn which was which."),
            "overlap": _("By as many different raters."),
        }

    field_order = ["study", "first_model", "second_model"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        open_studies = Study.objects.filter(state__in=[Study.State.RUNNING, Study.State.PAUSED])
        self.fields["study"].queryset = open_studies.order_by("-pk")  # type: ignore[attr-defined]
        self.fields["study"].to_field_name = "public_id"  # type: ignore[attr-defined]
        self.fields["first_arm"].initial = "A"
        self.fields["second_arm"].initial = "B"

    def terms(self) -> dict[str, Any]:
        names = ("first_arm", "second_arm", "overlap", "on_identity", "reveal")
        return {name: self.cleaned_data[name] for name in names}


class WordForm(forms.Form):
    word = forms.CharField(label=_("A word or name to hide"), max_length=120)


class RevealForm(forms.Form):
    reveal = forms.ChoiceField(label=_("Raters learn which was which"), choices=Comparison.Reveal.choices)
