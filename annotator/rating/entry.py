"""What a rater enters on the page: field names, parsing, and the six rows as they are shown.

Fields: ``<dimension>`` is a level "0" to "5" or "x" (cannot judge), ``<dimension>_reason`` a key of
``CANNOT_JUDGE_REASONS``, ``<dimension>_comment`` free text, ``comment`` about the whole, ``step-<n>``
a corrected step, n from 1, ``write-<step kind>`` a part of a text from scratch, ``own-diagnosis`` and
``own-confidence`` what she holds the case to be. Marks have their own (``annotator.rating.marking``).
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotator.rating.marking import MARK_FIELD, mark_fields
from scoring.models import Assignment, Rating
from scoring.narrative_format import STEP_KINDS
from scoring.rubric import CANNOT_JUDGE_REASONS, DIMENSION_KEYS, DIMENSION_NAMES, LEVELS, Dimension, dimensions_in
from scoring.services.ratings import ScoreInput

CANNOT_JUDGE = "x"
WRITE = "write-"
OWN = "own-"
LONGEST_FIELD = 10_000
LONGEST_ACTIVE_SECONDS = 12 * 3600
_STEP_FIELD = re.compile(r"step-([1-9]\d{0,3})")
_WRITTEN = frozenset(f"{WRITE}{kind}" for kind in STEP_KINDS)
_OWN = frozenset({f"{OWN}diagnosis", f"{OWN}confidence"})
_SCORE_FIELDS = frozenset(
    {"comment"} | {f"{key}{suffix}" for key in DIMENSION_KEYS for suffix in ("", "_reason", "_comment")}
)


@dataclass(frozen=True)
class Level:
    value: int
    anchor: str
    is_chosen: bool


@dataclass(frozen=True)
class DimensionRow:
    """One dimension as the page shows it; ``number`` from 1, ``reasons`` as (key, words, chosen)."""

    number: int
    dimension: Dimension
    levels: tuple[Level, ...]
    cannot_judge: bool
    reasons: tuple[tuple[str, str, bool], ...]
    comment: str
    errors: Sequence[str]
    is_active: bool
    is_scored: bool


def is_entered(fields: Mapping[str, str], key: str) -> bool:
    """Whether a dimension has a level, or a cannot-judge with its reason."""
    value = fields.get(key, "")
    return bool(fields.get(f"{key}_reason")) if value == CANNOT_JUDGE else bool(value)


def is_blank(fields: Mapping[str, str], errors: Mapping[str, Sequence[str]]) -> bool:
    """Whether the six rows show nothing of hers, so that they look the same for every case."""
    return not errors and not any(fields.get(name) for name in _SCORE_FIELDS - {"comment"})


def dimension_rows(fields: Mapping[str, str], errors: Mapping[str, Sequence[str]] | None = None) -> list[DimensionRow]:
    """The six rows with what was entered; the first with an error, else without a score, is active."""
    errors = errors or {}
    waiting = [k for k in DIMENSION_KEYS if k in errors] or [k for k in DIMENSION_KEYS if not is_entered(fields, k)]
    active = waiting[0] if waiting else DIMENSION_KEYS[0]
    rows = []
    for number, dimension in enumerate(dimensions_in(get_language()), start=1):
        value, reason = fields.get(dimension.key, ""), fields.get(f"{dimension.key}_reason", "")
        rows.append(
            DimensionRow(
                number=number,
                dimension=dimension,
                levels=tuple(Level(n, dimension.anchors[n], value == str(n)) for n in LEVELS),
                cannot_judge=value == CANNOT_JUDGE,
                reasons=tuple((key, words, key == reason) for key, words in CANNOT_JUDGE_REASONS.items()),
                comment=fields.get(f"{dimension.key}_comment", ""),
                errors=errors.get(dimension.key, ()),
                is_active=dimension.key == active,
                is_scored=is_entered(fields, dimension.key),
            )
        )
    return rows


def score_inputs(fields: Mapping[str, str]) -> dict[str, ScoreInput]:
    """The scores entered; a dimension left empty is left out, so that the service names it.

    Raises ``ValidationError`` keyed by dimension for something that is not a number.
    """
    entered: dict[str, ScoreInput] = {}
    problems: dict[str, str] = {}
    for key in DIMENSION_KEYS:
        value = fields.get(key, "").strip()
        comment = fields.get(f"{key}_comment", "").strip()
        if value == CANNOT_JUDGE:
            entered[key] = ScoreInput(None, cannot_judge=fields.get(f"{key}_reason", ""), comment=comment)
        elif value:
            try:
                entered[key] = ScoreInput(float(value), comment=comment)
            except ValueError:
                problems[key] = _("%(name)s takes a whole number from %(lowest)s to %(highest)s.") % {
                    "name": DIMENSION_NAMES[key],
                    "lowest": LEVELS[0],
                    "highest": LEVELS[-1],
                }
    if problems:
        raise ValidationError(problems)
    return entered


def known_fields(data: Mapping[str, Any]) -> dict[str, str]:
    """The page's own fields among what was sent, line ends normalised; the rest is dropped.

    Raises ``ValidationError`` for a field that is too long.
    """
    kept: dict[str, str] = {}
    for name, value in data.items():
        if not isinstance(value, str) or not _is_known(name):
            continue
        if len(value) > LONGEST_FIELD:
            raise ValidationError(
                _("One field is longer than %(limit)s characters. Shorten it.") % {"limit": f"{LONGEST_FIELD:,}"}
            )
        kept[name] = value.replace("\r\n", "\n").replace("\x00", "")
    return kept


def _is_known(name: str) -> bool:
    named = _SCORE_FIELDS | _WRITTEN | _OWN
    return name in named or bool(_STEP_FIELD.fullmatch(name) or MARK_FIELD.fullmatch(name))


def rating_fields(rating: Rating) -> dict[str, str]:
    """A stored rating as the page's fields, for changing it."""
    fields = {"comment": rating.comment}
    for score in rating.scores.all():
        fields[score.dimension] = CANNOT_JUDGE if score.value is None else f"{score.value:g}"
        fields[f"{score.dimension}_reason"] = score.cannot_judge
        fields[f"{score.dimension}_comment"] = score.comment
    fields |= mark_fields(rating.marks.all(), rating.version)
    return {name: value for name, value in fields.items() if value}


def corrected_steps(fields: Mapping[str, str], shown: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Steps whose text differs from ``shown`` (``step_texts``), by number from 1."""
    before = {step["number"]: step["text"].replace("\r\n", "\n").strip() for step in shown}
    entered = {int(match[1]): text for name, text in fields.items() if (match := _STEP_FIELD.fullmatch(name))}
    return {number: text for number, text in entered.items() if text.strip() != before.get(number)}


def written_parts(fields: Mapping[str, str]) -> dict[str, str]:
    """A text from scratch as entered: step kind to its words."""
    return {name.removeprefix(WRITE): text for name, text in fields.items() if name in _WRITTEN}


def active_seconds(value: Any) -> int | None:
    """Whole seconds as counted by the page, or ``None`` where it did not (no JavaScript, nonsense)."""
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds <= LONGEST_ACTIVE_SECONDS else None


def client_uuid(assignment: Assignment, rater: Any, corrects: Rating | None = None) -> uuid.UUID:
    """The submission's identity on a fresh page: the same however often it is loaded or sent."""
    return uuid.uuid5(corrects.client_uuid if corrects else assignment.public_id, str(rater.public_id))


def sent_uuid(value: str | None, otherwise: uuid.UUID) -> uuid.UUID:
    """The identity that the page sent; a page that sent none gets the one it was shown with."""
    try:
        return uuid.UUID(value or "")
    except ValueError:
        return otherwise
