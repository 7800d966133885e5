"""What a DermBench run compares, and by whom it is judged."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.evaluators.providers import BUILT_IN
from modelhub.forms.runs import SettingsForm, offer
from modelhub.models import EvaluatorVersion, ModelVersion
from modelhub.services.benchmarks import CLOSED
from modelhub.services.evaluations import evaluator_choices
from modelhub.services.model_settings import GENERATION_RULES, generation_settings
from scoring.models import DatasetVersion, Source, Study

SETTING_LABELS = {
    "max_new_tokens": (_("Longest text, tokens"), ""),
    "seed": (_("Seed"), ""),
    "batch_size": (_("Cases at once"), ""),
}


class BenchmarkForm(SettingsForm):
    kind = DatasetVersion.Kind.DERMBENCH
    words = SETTING_LABELS
    rules = {name: GENERATION_RULES[name] for name in SETTING_LABELS}

    dataset = forms.ModelChoiceField(
        DatasetVersion.objects.none(), to_field_name="public_id", empty_label=None, label=_("DermBench version")
    )
    evaluator = forms.ChoiceField(choices=evaluator_choices, label=_("Evaluator"))
    models = forms.ModelMultipleChoiceField(
        ModelVersion.objects.none(),
        to_field_name="public_id",
        label=_("Models"),
        help_text=_("Two or more. Differences are against the first registered of them."),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = ModelVersion.objects.order_by("created_at")
        offer(self, models=models, dataset=DatasetVersion.objects.filter(kind=self.kind).order_by("-number"))
        self.add_settings(generation_settings(models.first() or ModelVersion()))

    def clean_models(self) -> list[ModelVersion]:
        models = list(self.cleaned_data["models"])
        if len(models) < 2:
            raise forms.ValidationError(_("Choose at least two models: a benchmark compares."))
        return models

    def chosen(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("dataset", "models", "evaluator")} | {
            "settings": self.settings()
        }


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
        offer(
            self,
            source=Source.objects.filter(pk__in=[one.pk for one in sources]).order_by("name", "pk"),
            study=Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at"),
        )
