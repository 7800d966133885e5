"""What a DermBench run compares, and by whom it is judged."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from modelhub.evaluators.providers import BUILT_IN
from modelhub.forms.settings_fields import field_for, given
from modelhub.models import EvaluatorVersion, ModelVersion
from modelhub.services.benchmarks import CLOSED
from modelhub.services.evaluations import evaluator_choices
from modelhub.services.model_settings import GENERATION_RULES, generation_settings
from scoring.models import DatasetVersion, Source, Study

SHOWN = ("max_new_tokens", "seed", "batch_size")


class BenchmarkForm(forms.Form):
    kind = DatasetVersion.Kind.DERMBENCH

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
        datasets = DatasetVersion.objects.filter(kind=self.kind).order_by("-number")
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


class ClassificationForm(BenchmarkForm):
    kind = DatasetVersion.Kind.LABELLED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].label = _("Classification version")
        self.fields["models"].help_text = _("One or more. Differences are against the first registered of them.")
        evaluator = self.fields["evaluator"]
        assert isinstance(evaluator, forms.ChoiceField)
        evaluator.label, evaluator.choices = _("How it is asked and judged"), diagnosis_choices()
        evaluator.help_text = _(
            "Closed labels: the prompt lists the labels, and the answer counts where its words affirm exactly one of "
            "them. Open-ended: the models' own prompt without any list, the final diagnosis judged by the evaluator."
        )

    def clean_models(self) -> list[ModelVersion]:
        return list(self.cleaned_data["models"])


def diagnosis_choices() -> list[tuple[str, str]]:
    """Closed labels, and every evaluator that judges the final diagnosis."""
    judges = EvaluatorVersion.objects.filter(diagnosis_prompt__isnull=False).order_by("-created_at", "-pk")
    able = {*BUILT_IN, *(str(row.public_id) for row in judges)}
    named = [(key, name) for key, name in evaluator_choices() if key in able]
    return [
        (CLOSED, str(_("Closed labels"))),
        *((key, _("Open-ended: %(evaluator)s") % {"evaluator": name}) for key, name in named),
    ]


class FreezeLabelledForm(forms.Form):
    source = forms.ModelChoiceField(Source.objects.none(), to_field_name="public_id", label=_("Source"))
    study = forms.ModelChoiceField(
        Study.objects.none(),
        to_field_name="public_id",
        empty_label=None,
        label=_("Study"),
        help_text=_("Its rubric and protocol go with the version."),
    )

    def __init__(self, *args: Any, sources: list[Source], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source, study = self.fields["source"], self.fields["study"]
        assert isinstance(source, forms.ModelChoiceField) and isinstance(study, forms.ModelChoiceField)
        source.queryset = Source.objects.filter(pk__in=[one.pk for one in sources]).order_by("name", "pk")
        study.queryset = Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at")
