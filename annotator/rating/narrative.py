"""What the page shows of a case and its text. Nothing here can name who or what wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
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
GAP = "\x00"
A_DAY_S = 86_400  # how long a part of the page that is the same for every case is kept


@dataclass(frozen=True)
class Reference:
    """A reference diagnosis with its basis, once the study's policy lets her see it."""

    diagnosis: str
    basis: str


def narrative_context(version: NarrativeVersion, fields: Mapping[str, str]) -> dict[str, Any]:
    """The text as numbered steps under the headings of their kinds, in reading order, each with its mark."""
    language = version.narrative.language
    steps = [
        step
        | {
            "shown": exact_html(step["text"]),
            "mark": (mark := entered_mark(fields, step["number"])),
            "html": step_html(step, mark, language),
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
        "language": language,
        "truncated": version.truncated,
        "whole_text": "" if steps else version.text,
    }


def step_html(step: Mapping[str, Any], mark: Mapping[str, str], language: str) -> SafeString:
    """A step and its mark as fields of the rating form. Unmarked, the step of this number is the same in every text
    but for its place, its language and its words.
    """
    own = (str(step["start"]), escape(language), exact_html(step["text"]))
    if any(mark.values()):
        return _rendered_step(step["number"], mark, own)
    frame = _unmarked_frame(step["number"], get_language())
    return mark_safe("".join(chain.from_iterable(zip(frame, (*own, ""), strict=True))))  # noqa: S308


@lru_cache(maxsize=1_000)
def _unmarked_frame(number: int, _language: str | None) -> tuple[str, ...]:
    """What stands before, between and behind a step's place, language and words."""
    return tuple(_rendered_step(number, {}, (GAP, GAP, GAP)).split(GAP))


def _rendered_step(number: int, mark: Mapping[str, str], own: tuple[str, str, str]) -> SafeString:
    """``own`` is HTML already. A template would ask for each number how her country writes it."""
    start, language, shown = map(mark_safe, own)
    context = {"number": str(number), "mark": mark, "options": _mark_options()}
    return render_to_string(
        "rating/partials/step.html", context | {"start": start, "language": language, "shown": shown}
    )


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
