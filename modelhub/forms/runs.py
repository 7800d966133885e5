"""What the forms that ask for a run share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from modelhub.forms.settings_fields import Rules, field_for, given


class RunForm(forms.Form):
    def chosen(self) -> dict[str, Any]:
        """What the service is asked for, but for the actor. Valid forms only."""
        return self.cleaned_data


class SettingsForm(RunForm):
    """First the fields that everybody looks at, then more settings, which the page folds away."""

    rules: ClassVar[Rules]
    words: ClassVar[Mapping[str, tuple[Any, Any]]]  # label and help of each setting
    prominent: ClassVar[tuple[str, ...]] = ()  # settings that stand among the first fields
    more_title: ClassVar[Any] = _("Decoding settings")

    def add_settings(self, defaults: Mapping[str, Any]) -> None:
        for name, rule in self.rules.items():
            label, help_text = self.words[name]
            self.fields[name] = field_for(rule, label=label, help_text=help_text, default=defaults[name])

    def first(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in self.rules or field.name in self.prominent]

    def more(self) -> list[forms.BoundField]:
        return [self[name] for name in self.rules if name not in self.prominent]

    def settings(self) -> dict[str, Any]:
        """Those that were filled in; the service knows the defaults of the others."""
        return given(self.cleaned_data, self.rules)


def offer(form: forms.Form, **rows: QuerySet[Any]) -> None:
    """The rows that the fields of these names can be."""
    for name, queryset in rows.items():
        field = form.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset
