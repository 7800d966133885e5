"""What a DermBench run compares, and by whom it is judged."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from modelhub.forms.settings_fields import field_for, given
from modelhub.models import ModelVersion
from modelhub.services.evaluations import evaluator_choices
from modelhub.services.model_settings import GENERATION_RULES, generation_settings
from scoring.models import DatasetVersion

SHOWN = ("max_new_tokens", "seed", "batch_size")


class BenchmarkForm(forms.Form):
    dataset = forms.ModelChoiceField(
        DatasetVersion.objects.none(), to_field_name="public_id", empty_label=None, label=_("DermBench version")
    )
    models = forms.ModelMultipleChoiceField(
        ModelVersion.objects.none(),
        to_field_name="public_id",
        label=_("Models"),
        help_text=_("Two or more. Differences are against the first registered of them."),
        widget=forms.CheckboxSelectMultiple,
    )
    evaluator = forms.ChoiceField(choices=evaluator_choices, label=_("Evaluator"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = ModelVersion.objects.order_by("created_at")
        datasets = DatasetVersion.objects.filter(kind=DatasetVersion.Kind.DERMBENCH).order_by("-number")
        self._choose("models", models)
        self._choose("dataset", datasets)
        defaults = generation_settings(models.first() or ModelVersion())
        labels = {"max_new_tokens": _("Longest text, tokens"), "seed": _("Seed"), "batch_size": _("Cases at once")}
        for name in SHOWN:
            self.fields[name] = field_for(
                GENERATION_RULES[name], label=labels[name], help_text="", default=defaults[name]
            )

    def _choose(self, name: str, rows: QuerySet[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows

    def main(self) -> list[forms.BoundField]:
        return [self["dataset"], self["evaluator"], self["models"]]

    def decoding(self) -> list[forms.BoundField]:
        return [self[name] for name in SHOWN]

    def clean_models(self) -> list[ModelVersion]:
        models = list(self.cleaned_data["models"])
        if len(models) < 2:
            raise forms.ValidationError(_("Choose at least two models: a benchmark compares."))
        return models

    def settings(self) -> dict[str, Any]:
        return given(self.cleaned_data, {name: GENERATION_RULES[name] for name in SHOWN})
