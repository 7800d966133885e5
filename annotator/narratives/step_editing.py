"""Step by step corrections as a form sends them: fields ``step-1``, ``step-2`` and so on."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from scoring.models import NarrativeVersion
from scoring.narrative_format import replace_steps

PREFIX = "step-"


def edited_steps(version: NarrativeVersion, fields: Mapping[str, str]) -> dict[int, str]:
    """Step number (from 1) to its new text, for the steps whose text differs.

    Raises ``ValidationError`` for a step that the text does not have.
    """
    now = {step["number"]: step["text"] for step in version.step_texts()}
    changed = {}
    for name, value in fields.items():
        number = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or not number.isdecimal():
            continue
        if int(number) not in now:
            raise ValidationError(
                _("There is no step %(number)s in this narrative. Reload the page."), params={"number": number}
            )
        text = value.replace("\r\n", "\n").strip()
        if text != now[int(number)].replace("\r\n", "\n"):
            changed[int(number)] = text
    return changed


def edited_text(version: NarrativeVersion, fields: Mapping[str, str]) -> str:
    """The version's text with the edited steps in place, everything between them untouched."""
    changed = edited_steps(version, fields)
    return replace_steps(version.text, version.step_list(), {number - 1: text for number, text in changed.items()})
