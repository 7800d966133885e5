"""Freezing a benchmark of references as they were published, without some of the flagged ones."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import offer
from scoring.models import NarrativeVersion, ReferenceFlag, Source, Study
from scoring.services.references import imported_references


class ReferencesForm(forms.Form):
    study = forms.ModelChoiceField(
        Study.objects.none(),
        to_field_name="public_id",
        empty_label=None,
        label=_("Study"),
        help_text=_("Its rubric and protocol go with the version."),
    )
    kinds = forms.MultipleChoiceField(
        choices=ReferenceFlag.Kind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Exclude every reference with this flag"),
    )
    texts = forms.ModelMultipleChoiceField(NarrativeVersion.objects.none(), to_field_name="public_id", required=False)
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        label=_("Why they are excluded"),
        help_text=_("Stands in the new version's manifest beside your name."),
    )

    def __init__(self, *args: Any, source: Source, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._references = imported_references(source)
        offer(
            self,
            study=Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at"),
            texts=self._references.select_related("narrative__case"),
        )

    def main(self) -> list[forms.BoundField]:
        return [self["study"], self["kinds"], self["reason"]]

    def excluded(self) -> list[NarrativeVersion]:
        """Those ticked and those with a flag of a kind that was ticked."""
        flagged = ReferenceFlag.objects.filter(kind__in=self.cleaned_data["kinds"]).values("version")
        by_kind = self._references.filter(pk__in=flagged).select_related("narrative__case")
        return list({text.pk: text for text in [*self.cleaned_data["texts"], *by_kind]}.values())
