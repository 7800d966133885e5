"""Narratives: creating them and writing their next version."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Case, Narrative, NarrativeVersion
from scoring.models.narrative import edit_distance
from scoring.narrative_format import parse
from scoring.services.audit import record_event

LONGEST_TEXT = 40_000


@transaction.atomic
def create_narrative(
    *,
    case: Case,
    text: str,
    author_kind: str,
    language: str = "en",
    author: Any = None,
    origin: str = NarrativeVersion.Origin.DRAFT,
    truncated: bool = False,
    context_given: Sequence[str] | None = None,
    conditioning: str = "",
) -> NarrativeVersion:
    """The first version of a new narrative about ``case``; the text is kept as it is.

    ``truncated``: the writer was cut off (tokens ran out); the parser's own finding adds to it.
    ``context_given``: what of the case it was told beside the images (``CONTEXT_FIELDS``), ``None``
    if that is not known. ``conditioning``: whether it was told the reference diagnosis, as in
    ``NarrativeVersion.Conditioning``, empty if that is not known. Raises ``ValidationError`` for an empty or an
    oversized text.
    """
    check_text(text)
    unknown = set(context_given or ()) - set(NarrativeVersion.CONTEXT_FIELDS)
    if unknown:
        raise ValidationError(_("A case has no %(names)s to give as context.") % {"names": ", ".join(sorted(unknown))})
    narrative = Narrative.objects.create(case=case, language=language)
    return _add_version(
        narrative,
        number=1,
        text=text,
        author_kind=author_kind,
        author=author,
        origin=origin,
        truncated=truncated,
        context_given=None if context_given is None else sorted(set(context_given)),
        conditioning=conditioning,
    )


@transaction.atomic
def revise_version(*, version: NarrativeVersion, text: str, author: Any) -> NarrativeVersion:
    """A person's corrected text as the next version of the narrative.

    Raises ``ValidationError`` when nothing changed, or when the text is empty or oversized.
    """
    check_text(text)
    if text == version.text:
        raise ValidationError(_("Nothing was changed. Edit a step before saving a new version."))
    narrative = Narrative.objects.select_for_update().get(pk=version.narrative_id)
    last = narrative.versions.order_by("-number").first()
    if last is not None and last.text == text:
        raise ValidationError(_("Version %(number)s already has this text.") % {"number": last.number})
    revised = _add_version(
        narrative,
        number=last.number + 1 if last else 1,
        text=text,
        author_kind=NarrativeVersion.Author.PERSON,
        author=author,
        origin=NarrativeVersion.Origin.EDITED,
        parent=version,
        context_given=version.context_given,
        conditioning=version.conditioning,
        edit_distance=edit_distance(version.text, text),
    )
    record_event(
        actor=author,
        action="narrative.revised",
        subject=revised,
        detail={"parent": str(version.public_id), "edit_distance": revised.edit_distance},
    )
    return revised


def check_text(text: str) -> None:
    """Raises ``ValidationError`` for a text that cannot be a narrative."""
    if not text.strip():
        raise ValidationError(_("The narrative is empty. Write at least the diagnosis."))
    if "\x00" in text:
        raise ValidationError(_("The narrative holds a NUL character. Remove it."))
    if len(text) > LONGEST_TEXT:
        raise ValidationError(_("The narrative is longer than %(limit)s characters.") % {"limit": f"{LONGEST_TEXT:,}"})


def _add_version(narrative: Narrative, *, text: str, truncated: bool = False, **fields: Any) -> NarrativeVersion:
    reading = parse(text)
    return NarrativeVersion.objects.create(
        narrative=narrative,
        text=text,
        steps=[asdict(step) for step in reading.steps],
        diagnosis=reading.diagnosis or "",
        truncated=truncated or reading.truncated,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        **fields,
    )
