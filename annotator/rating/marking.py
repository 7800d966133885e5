"""Marks as the page enters them: one group of fields per step.

Fields, n a step's number from 1: ``mark-<n>`` is "ok" or an error type, with ``mark-<n>-severity``,
``-dimension``, ``-note``, ``-span`` "start-end" (code points into the version's text, half open) and
``-point`` "image:x:y" (image from 1; x and y as shares of its width and height, 0 to 1).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from scoring.models import Mark, NarrativeVersion
from scoring.services.ratings import MarkInput

WORDED = ("severity", "dimension", "note")
PARTS = (*WORDED, "span", "point")
MARK_FIELD = re.compile(rf"mark-([1-9]\d{{0,3}})(-(?:{'|'.join(PARTS)}))?")
_SPAN = re.compile(r"(\d{1,6})-(\d{1,6})")
_POINT = re.compile(r"([1-9]\d{0,2}):([01](?:\.\d{1,8})?):([01](?:\.\d{1,8})?)")


def mark_inputs(fields: Mapping[str, str], version: NarrativeVersion) -> list[MarkInput]:
    """The marks entered, by step. Raises ``ValidationError``, naming the step, for a span or point that is none."""
    marks = []
    for name, value in fields.items():
        match = MARK_FIELD.fullmatch(name)
        if match is None or match[2] or not value:
            continue
        step = int(match[1])
        details: dict[str, Any] = {part: fields.get(f"{name}-{part}", "").strip() for part in WORDED}
        is_error = value != Mark.Verdict.OK
        if not is_error:
            details["severity"] = ""
        marks.append(
            MarkInput(
                step=step,
                verdict=Mark.Verdict.ERROR if is_error else Mark.Verdict.OK,
                error_type=value if is_error else "",
                **details,
                **_span(fields.get(f"{name}-span", ""), step),
                **_point(fields.get(f"{name}-point", ""), step, version),
            )
        )
    return sorted(marks, key=lambda mark: mark.step)


def entered_mark(fields: Mapping[str, str], step: int) -> dict[str, str]:
    """One step's fields for its form: ``value``, what it is called, and the parts."""
    name = f"mark-{step}"
    value = fields.get(name, "")
    words = str(dict(Mark.ErrorType.choices).get(value, _("Right") if value == Mark.Verdict.OK else value))
    return {"value": value, "words": words} | {part: fields.get(f"{name}-{part}", "") for part in PARTS}


def mark_fields(marks: Iterable[Mark], version: NarrativeVersion) -> dict[str, str]:
    """Stored marks as the page's fields: what ``mark_inputs`` reads back to the same marks."""
    numbers = {image.pk: number for number, image in enumerate(version.narrative.case.images.all(), start=1)}
    fields = {}
    for mark in marks:
        name = f"mark-{mark.step}"
        fields[name] = mark.error_type or Mark.Verdict.OK.value
        fields |= {f"{name}-severity": mark.severity, f"{name}-dimension": mark.dimension, f"{name}-note": mark.note}
        if mark.span_start is not None:
            fields[f"{name}-span"] = f"{mark.span_start}-{mark.span_end}"
        if mark.image_id is not None:
            fields[f"{name}-point"] = f"{numbers[mark.image_id]}:{mark.point_x:.4f}:{mark.point_y:.4f}"
    return {name: value for name, value in fields.items() if value}


def _span(text: str, step: int) -> dict[str, Any]:
    if not text:
        return {}
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValidationError(_("Step %(step)s: mark the words again."), params={"step": step})
    return {"span_start": int(match[1]), "span_end": int(match[2])}


def _point(text: str, step: int, version: NarrativeVersion) -> dict[str, Any]:
    if not text:
        return {}
    match = _POINT.fullmatch(text)
    images = list(version.narrative.case.images.all())
    if match is None or int(match[1]) > len(images):
        raise ValidationError(_("Step %(step)s: set the point on the image again."), params={"step": step})
    return {"image": images[int(match[1]) - 1], "point_x": float(match[2]), "point_y": float(match[3])}
