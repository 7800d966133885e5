"""What the page shows of a case and its text. Nothing here can name who or what wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotator.rating.marking import entered_mark
from scoring.models import Case, CaseImage, Mark, NarrativeVersion
from scoring.narrative_format import ADVICE, DIAGNOSIS, STEP_KINDS
from scoring.prepared import Given, Prepared

IMAGES: Prepared[CaseImage] = Prepared(lambda: CaseImage.objects.filter(case=Given("case")))
A_DAY_S = 86_400  # how long a part of the page that is the same for every case is kept


@dataclass(frozen=True)
class Reference:
    """A reference diagnosis with its basis, once the study's policy lets her see it."""

    diagnosis: str
    basis: str


def narrative_context(version: NarrativeVersion, fields: Mapping[str, str]) -> dict[str, Any]:
    """The text as numbered steps under the headings of their kinds, in reading order, each with its mark."""
    steps = [
        step
        | {
            "label": str(step["number"]),  # a template would ask for each number how her country writes it
            "shown": exact_html(step["text"]),
            "mark": (mark := entered_mark(fields, step["number"])),
            "mark_fields": mark_fields_html(mark, step["number"]),
        }
        for step in version.step_texts()
    ]
    sections = [
        {
            "kind": kind,
            "heading": _(STEP_KINDS[kind]),
            "is_thinking": kind not in {DIAGNOSIS, ADVICE},
            "steps": list(group),
        }
        for kind, group in groupby(steps, key=lambda step: step["kind"])
    ]
    return {
        "sections": sections,
        "step_count": len(steps),
        "language": version.narrative.language,
        "truncated": version.truncated,
        "whole_text": "" if steps else version.text,
    }


def mark_fields_html(mark: Mapping[str, str], number: int) -> SafeString:
    """A step's mark as fields of the rating form. Unmarked, the step of this number has the same ones in every text."""
    return _rendered_mark(number, mark) if any(mark.values()) else _blank_mark(number, get_language())


@lru_cache(maxsize=1_000)
def _blank_mark(number: int, _language: str | None) -> SafeString:
    return _rendered_mark(number, {})


def _rendered_mark(number: int, mark: Mapping[str, str]) -> SafeString:
    context = {"number": str(number), "mark": mark, "options": _mark_options()}
    return render_to_string("rating/partials/mark_fields.html", context)


def _mark_options() -> SafeString:
    choices = [("", _("Not marked")), ("ok", _("Right")), *Mark.ErrorType.choices]
    return format_html_join("", '<option value="{}">{}</option>', choices)


def exact_html(text: str) -> SafeString:
    """Escaped so that the browser's text has the very same code points: a bare CR would be read as LF."""
    return mark_safe(escape(text).replace("\r", "&#13;"))  # noqa: S308


def case_context(version: NarrativeVersion) -> dict[str, Any]:
    """``chips``: what of the case the text's author was told too; ``extra_chips``: the rest."""
    words, told = _context_words(version.narrative.case), version.context_given or ()
    return {
        "chips": [text for name, text in words.items() if name in told],
        "extra_chips": [text for name, text in words.items() if name not in told],
        "is_context_known": version.context_given is not None,
    }


def context_chips(case: Case) -> list[str]:
    """Body site, age, sex, and skin tone with its scale: those that the case has."""
    return list(_context_words(case).values())


def _context_words(case: Case) -> dict[str, str]:
    words = {
        "body_site": case.body_site[:1].upper() + case.body_site[1:],
        "age": _("%(age)s y") % {"age": case.age} if case.age is not None else "",
        "sex": case.get_sex_display() if case.sex else "",
        "skin_tone": _("Skin tone: %(tone)s (%(scale)s)") % {"tone": case.skin_tone, "scale": case.skin_tone_scale}
        if case.skin_tone
        else "",
    }
    return {name: text for name, text in words.items() if text}


def image_urls(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "url": reverse("cases:image", args=[image.public_id]),
            "thumbnail": reverse("cases:thumbnail", args=[image.public_id]),
            "width": image.width,
            "height": image.height,
        }
        for number, image in enumerate(IMAGES.rows(case=case.pk), start=1)
    ]


def reference_of(case: Case) -> Reference:
    return Reference(case.diagnosis, case.get_diagnosis_basis_display())
