"""Forms of the study: its protocol as a draft and by amendment, raters and information sheets.

Which fields there are, in which sections, and which an amendment may change, is said once, in ``scoring.protocol``;
the thresholds are those of ``scoring.verdict.Policy``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy

from annotator.accounts.models import User
from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, DERMATOLOGIST
from annotator.study import words
from scoring import protocol
from scoring.models import CalibrationExample, Study
from scoring.rubric import DIMENSION_KEYS, LEVELS, Dimension, dimensions_in
from scoring.strata import expertise_lines, quota_lines, read_expertise, read_quotas
from scoring.verdict import Policy

THRESHOLD, WHY = "threshold_", "why_"
THRESHOLDS = tuple(field.name for field in fields(Policy) if field.name != "overlap")
DEFAULTS = {field.name: field.default for field in fields(Policy)}


@dataclass(frozen=True)
class ShownSection:
    """A part of the form under its heading; ``is_open`` where it must not be folded away."""

    key: str
    heading: str | Promise
    explained: str | Promise
    fields: list[BoundField]
    is_open: bool


class ProtocolForm(forms.ModelForm):
    """Everything of the protocol that may still change. ``arms``, ``quotas`` and ``expertise`` are lines of text."""

    arms = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    quotas = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    expertise = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    clinician = forms.ModelChoiceField(
        queryset=User.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=gettext_lazy("Every administrator"),
    )

    class Meta:
        model = Study
        fields = list(protocol.FIELDS)
        widgets = {name: forms.Textarea(attrs={"rows": 3}) for name in words.LONG}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinicians = User.objects.filter(is_active=True, groups__name__in=(DERMATOLOGIST, ADJUDICATOR, ADMINISTRATOR))
        self.fields["clinician"].queryset = clinicians.distinct().order_by("username")  # type: ignore[attr-defined]
        stored = self.instance.policy.settings if self.instance.policy_id else DEFAULTS
        for name in THRESHOLDS:
            self.fields[THRESHOLD + name] = _threshold_field(name, stored[name])
        alike = ("", gettext_lazy("All cases alike"))
        self.fields["overlap_by"].choices = [alike, *Study.Stratum.choices]  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            field.label = words.LABELS.get(name) or field.label
            field.help_text = words.HELP.get(name) or field.help_text
        if self.instance.pk:
            self._show_stored()

    def _show_stored(self) -> None:
        study = self.instance
        shown = {
            "arms": "\n".join(study.arms),
            "quotas": quota_lines(study.quotas),
            "expertise": expertise_lines(study.expertise),
            "clinician": study.clinician.public_id if study.clinician_id else None,
        }
        self.initial.update({name: value for name, value in shown.items() if name in self.fields})

    def clean_arms(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["arms"].splitlines() if line.strip()]

    def clean_quotas(self) -> list[dict[str, Any]]:
        return _read(read_quotas, self.cleaned_data["quotas"])

    def clean_expertise(self) -> list[dict[str, str]]:
        return _read(read_expertise, self.cleaned_data["expertise"])

    def sections(self) -> Iterator[ShownSection]:
        """The protocol's sections that have fields here, then the policy's thresholds."""
        for section in protocol.SECTIONS:
            names = [name for name in section.fields if name in self.fields]
            if names:
                yield self._section(section.key, names)
        yield self._section("certification", [THRESHOLD + name for name in THRESHOLDS])

    def _section(self, key: str, names: list[str]) -> ShownSection:
        heading, explained = words.SECTIONS[key]
        is_open = key in {"plan", "ratings"} or any(name in self.errors for name in names)
        return ShownSection(key, heading, explained, [self[name] for name in names], is_open)

    def settings(self) -> dict[str, Any]:
        """What the service is to set."""
        return {name: value for name, value in self.cleaned_data.items() if name in protocol.FIELDS}

    def thresholds(self) -> dict[str, float]:
        return {name: self.cleaned_data[THRESHOLD + name] for name in THRESHOLDS}

    def _post_clean(self) -> None:
        """The service validates the whole study; the instance stays as it is stored."""


class AmendmentForm(ProtocolForm):
    """The parts of a started study that an amendment may change, with the reason."""

    reason = forms.CharField(
        label=gettext_lazy("Reason for the amendment"),
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": gettext_lazy("Give the reason for the amendment.")},
    )

    class Meta(ProtocolForm.Meta):
        fields = list(protocol.AMENDABLE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in protocol.FIXED_AT_START:
            self.fields.pop(name, None)

    def settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().settings().items() if name in self.changed_data}

    def clean_arms(self) -> list[str]:
        return list(self.instance.arms)


def _threshold_field(name: str, stored: Any) -> forms.Field:
    if isinstance(DEFAULTS[name], bool):
        return forms.BooleanField(required=False, initial=stored)
    return forms.FloatField(initial=stored, widget=forms.NumberInput(attrs={"step": "any"}))


def _read(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error


class InviteForm(forms.Form):
    """Dermatologists who are not in the study yet."""

    rater = forms.ModelChoiceField(
        queryset=User.objects.none(),
        to_field_name="public_id",
        empty_label=gettext_lazy("Choose a dermatologist…"),
        label=gettext_lazy("Rater"),
    )

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True, groups__name=DERMATOLOGIST)
        self.fields["rater"].queryset = people.exclude(enrolments__study=study).order_by("username")  # type: ignore[attr-defined]


class SheetForm(forms.Form):
    """A new version of the information sheet."""

    text = forms.CharField(
        label=gettext_lazy("Information sheet"),
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text=gettext_lazy(
            "Say what raters do, who sees their performance, how exports name them, and that they may withdraw."
        ),
    )


class GateForm(forms.Form):
    """The calibration gate alone; a started study wants the reason as well."""

    gate_kappa = forms.FloatField(
        label=words.LABELS["gate_kappa"],
        help_text=words.HELP["gate_kappa"],
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    reason = AmendmentForm.base_fields["reason"]

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["gate_kappa"] = study.gate_kappa
        if study.state == Study.State.DRAFT:
            del self.fields["reason"]


class ExampleForm(forms.Form):
    """What an example is for, the agreed level of each dimension and why; errors stand at the dimension."""

    role = forms.ChoiceField(
        label=gettext_lazy("What it is for"), choices=CalibrationExample.Role.choices, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for dimension in dimensions_in(get_language()):
            self.fields[dimension.key] = forms.TypedChoiceField(
                label=dimension.name,
                choices=[(level, str(level)) for level in LEVELS],
                coerce=int,
                widget=forms.RadioSelect,
            )
            self.fields[WHY + dimension.key] = forms.CharField(
                label=gettext_lazy("Why"),
                required=False,
                max_length=2000,
                widget=forms.Textarea(attrs={"rows": 2}),
            )

    def rows(self) -> list[tuple[Dimension, BoundField, BoundField]]:
        """Each dimension with its levels and its explanation."""
        return [(d, self[d.key], self[WHY + d.key]) for d in dimensions_in(get_language())]

    def scores(self) -> dict[str, int]:
        return {key: self.cleaned_data[key] for key in DIMENSION_KEYS}

    def explanations(self) -> dict[str, str]:
        return {key: self.cleaned_data[WHY + key] for key in DIMENSION_KEYS}
