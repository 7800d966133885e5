"""A judge's settings, what it may cost, and which narratives an evaluator is to score."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from modelhub.forms.runs import RunForm, offer
from modelhub.models import BenchmarkRun, ModelVersion
from modelhub.services.evaluations import evaluator_choices, evaluator_version
from modelhub.services.judges import LANGUAGES, PROTOCOLS, TERMS
from modelhub.services.poor_narratives import MOST
from scoring.models import DatasetVersion, Study

TERM_LABELS = {
    "usd_per_million_in": _("Price of a million tokens read, US dollars"),
    "usd_per_million_out": _("Price of a million tokens written, US dollars"),
    "requests_per_minute": _("Most questions a minute"),
    "concurrency": _("Questions at once"),
    "budget_usd": _("Most a run may cost, US dollars"),
    "budget_tokens": _("Most tokens a run may use"),
}
WHOLE = ("concurrency", "budget_tokens")
RECENT = 50  # of each kind of pool


class TermsForm(forms.Form):
    """Every field is optional: empty is unknown for a price, no limit for a limit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (low, high) in TERMS.items():
            label = TERM_LABELS[name]
            if name in WHOLE:
                self.fields[name] = forms.IntegerField(
                    required=False, label=label, min_value=int(low), max_value=int(high)
                )
            else:
                self.fields[name] = forms.FloatField(required=False, label=label, min_value=low, max_value=high)
                self.fields[name].widget.attrs["step"] = "any"

    def terms(self) -> dict[str, float | None]:
        return {name: self.cleaned_data[name] for name in TERMS}


class JudgeForm(TermsForm):
    name = forms.CharField(max_length=120, label=_("Name"))
    model = forms.ModelChoiceField(
        ModelVersion.objects.none(),
        to_field_name="public_id",
        empty_label=None,
        label=_("Model"),
        help_text=_("A model on an OpenAI-compatible server."),
    )
    protocol = forms.ChoiceField(choices=PROTOCOLS.items(), label=_("Protocol"))
    language = forms.ChoiceField(choices=LANGUAGES.items(), label=_("Language of the rubric"))
    temperature = forms.FloatField(
        required=False,
        initial=0,
        min_value=0,
        max_value=2,
        label=_("Temperature"),
        help_text=_("0 gives the same answer each time where the server can. Empty: the server's own."),
    )
    max_tokens = forms.IntegerField(initial=2048, min_value=64, max_value=100_000, label=_("Longest answer, tokens"))
    diagnosis = forms.BooleanField(required=False, label=_("Also judge the final diagnosis"), label_suffix="")
    images = forms.BooleanField(required=False, label=_("Send the case's images"), label_suffix="")
    schema = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Ask for a strict JSON schema where the server takes one"),
        label_suffix="",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, model=ModelVersion.objects.filter(kind=ModelVersion.Kind.ENDPOINT).order_by("name"))

    def first(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in TERMS]

    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in TERMS]

    def judge(self) -> dict[str, Any]:
        settings = {name: value for name, value in self.cleaned_data.items() if name not in TERMS}
        return settings | {"terms": self.terms()}


class EvaluationForm(RunForm):
    evaluator = forms.ChoiceField(choices=evaluator_choices, label=_("Evaluator"))
    pool = forms.ChoiceField(label=_("Narratives"))
    retest = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Ask about three per cent of them (at least ten) a second time"),
        help_text=_("Shows how well the evaluator agrees with itself."),
        label_suffix="",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        studies = Study.objects.order_by("-pk")[:RECENT]
        datasets = DatasetVersion.objects.exclude(kind=DatasetVersion.Kind.LABELLED).order_by("-pk")[:RECENT]
        runs = (
            BenchmarkRun.objects.filter(dataset__kind=DatasetVersion.Kind.DERMBENCH)
            .select_related("run")
            .order_by("-pk")[:RECENT]
        )
        self._pools: dict[str, Study | DatasetVersion | BenchmarkRun] = {
            **{f"study:{row.public_id}": row for row in studies},
            **{f"dataset:{row.public_id}": row for row in datasets},
            **{f"benchmark:{row.run.public_id}": row for row in runs},
        }
        field = self.fields["pool"]
        assert isinstance(field, forms.ChoiceField)
        groups = {
            "study": _("Narratives of a study"),
            "dataset": _("Certified narratives of a dataset version"),
            "benchmark": _("Candidates of a DermBench run, scored again"),
        }
        field.choices = [
            (label, [(key, self._words(row)) for key, row in self._pools.items() if key.startswith(f"{kind}:")])
            for kind, label in groups.items()
        ]

    @staticmethod
    def _words(row: Study | DatasetVersion | BenchmarkRun) -> str:
        return f"{row.run.created_at:%Y-%m-%d} {row.run.title}" if isinstance(row, BenchmarkRun) else str(row)

    def chosen(self) -> dict[str, Any]:
        """What the service is asked for, but for the actor; makes a built-in evaluator's row."""
        return {
            "evaluator": evaluator_version(self.cleaned_data["evaluator"]),
            "pool": self._pools[self.cleaned_data["pool"]],
            "retest": self.cleaned_data["retest"],
        }


class PoorNarrativesForm(forms.Form):
    study = forms.ModelChoiceField(
        Study.objects.none(),
        to_field_name="public_id",
        empty_label=None,
        label=_("Study"),
        help_text=_("A running one."),
    )
    count = forms.IntegerField(
        initial=40,
        min_value=1,
        max_value=MOST,
        label=_("How many"),
        help_text=_("A quarter of each kind. They are made from the study's own machine-written or imported texts."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, study=Study.objects.filter(state=Study.State.RUNNING).order_by("-pk"))
