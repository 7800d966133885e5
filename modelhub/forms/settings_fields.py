"""Form fields made from the rules that the services check by, so that both always agree."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from modelhub.services.model_settings import Choice, Number

NONE = "none"  # what the page sends for a setting whose value is None
Rules = Mapping[str, Number | Choice]


def field_for(rule: Number | Choice, *, label: Any, help_text: Any, default: Any) -> forms.Field:
    """An optional field; left empty, the model's own default holds, which is shown as the placeholder."""
    if isinstance(rule, Choice):
        shown = [("", _("Default (%(value)s)") % {"value": named(default)}), *((key(v), named(v)) for v in rule.values)]
        return forms.TypedChoiceField(
            choices=shown, required=False, label=label, help_text=help_text, coerce=_coerce(rule), empty_value=""
        )
    kind = forms.IntegerField if rule.whole else forms.FloatField
    field = kind(required=False, label=label, help_text=help_text)
    placeholder = named(default) if default is None else f"{default:.12g}"
    field.widget.attrs |= {"placeholder": placeholder, "inputmode": "numeric" if rule.whole else "decimal"}
    if not rule.whole:
        field.widget.attrs["step"] = "any"
    return field


def given(cleaned: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """The settings that were filled in; empty ones are left to the service's defaults."""
    filled = {name: cleaned.get(name) for name in rules}
    return {name: None if v == NONE else v for name, v in filled.items() if v is not None and v != ""}


def named(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return _("as the model was saved") if value is None else str(value).replace("_", " ")


def key(value: Any) -> str:
    return NONE if value is None else str(value)


def _coerce(rule: Choice) -> Any:
    by_key = {key(value): value for value in rule.values}

    def coerce(text: str) -> Any:
        value = by_key[text]
        return NONE if value is None else value

    return coerce
