"""What the comparing page shows: two texts side by side, sections aligned, words that name an author hidden."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotator.rating.narrative import case_context, image_urls, reference_of
from scoring.identity_words import scrub
from scoring.models import NarrativeVersion, PairSlot, Preference, PreferenceChoice, Skip, Study
from scoring.models.preference import OVERALL
from scoring.narrative_format import STEP_KINDS
from scoring.rubric import dimensions_in
from scoring.services.comparisons import identity_words
from scoring.services.preferences import arms_shown

KEYS = {"left": "←", "tie": "=", "both_bad": "×", "right": "→"}


@dataclass(frozen=True)
class Section:
    """Consecutive steps of one kind; ``steps`` as (number, text)."""

    kind: str
    steps: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Row:
    """Sections that stand beside each other; ``None`` where a side has nothing of the kind there."""

    heading: str
    kind: str
    left: Section | None
    right: Section | None

    @property
    def sides(self) -> tuple[tuple[str, Section | None], ...]:
        return ("left", self.left), ("right", self.right)


@dataclass(frozen=True)
class Question:
    """One row of choices; ``options`` as (value, words, key, chosen)."""

    key: str
    name: str
    question: str
    options: tuple[tuple[str, str, str, bool], ...]
    errors: list[str]

    @property
    def is_answered(self) -> bool:
        return any(chosen for *_others, chosen in self.options)


def comparing_page(
    slot: PairSlot, choices: dict[str, str], errors: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    """The context of ``rating/preference.html``. Nothing in it names an arm, a version or an author."""
    words = identity_words(slot.study)
    left, right = (sections_of(version, words) for version in (slot.left, slot.right))
    case = slot.pair.case
    rows = questions(choices, errors or {})
    return {
        "slot": slot,
        "code": case.code,
        "rows": aligned(left, right),
        "language": slot.left.narrative.language,
        "truncated": [side for side, version in (("left", slot.left), ("right", slot.right)) if version.truncated],
        "questions": rows,
        "active": next((row.key for row in rows if row.errors or not row.is_answered), OVERALL),
        **_shared_context(slot),
        "images": image_urls(case),
        "reference": reference_of(case) if slot.study.reveal == Study.Reveal.ALWAYS else None,
        "skip_reasons": Skip.Reason.choices,
    }


def _shared_context(slot: PairSlot) -> dict[str, Any]:
    """The case's context: what both authors were told, and apart from it the rest."""
    sides = case_context(slot.left), case_context(slot.right)
    told = [chip for chip in sides[0]["chips"] if chip in sides[1]["chips"]]
    everything = sides[0]["chips"] + sides[0]["extra_chips"]
    return {
        "chips": told,
        "extra_chips": [chip for chip in everything if chip not in told],
        "is_context_known": all(side["is_context_known"] for side in sides),
    }


def sections_of(version: NarrativeVersion, words: list[str]) -> list[Section]:
    """The text in reading order, scrubbed; one without steps is one section of no kind."""
    steps = version.step_texts()
    if not steps:
        return [Section("", ((1, scrub(version.text.strip(), words)),))]
    return [
        Section(kind, tuple((step["number"], scrub(step["text"], words)) for step in group))
        for kind, group in groupby(steps, key=lambda step: step["kind"])
    ]


def aligned(left: list[Section], right: list[Section]) -> list[Row]:
    """Sections of one kind beside each other, each text in its own order."""
    kinds = [section.kind for section in left], [section.kind for section in right]
    rows: list[tuple[Section | None, Section | None]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        if tag == "equal":
            rows += zip(left[i1:i2], right[j1:j2], strict=True)
        else:
            rows += [(section, None) for section in left[i1:i2]] + [(None, section) for section in right[j1:j2]]
    found = []
    for one, other in rows:
        kind = (one or other).kind  # type: ignore[union-attr]
        found.append(Row(_(STEP_KINDS[kind]) if kind else _("Text"), kind, one, other))
    return found


def questions(choices: dict[str, str], errors: dict[str, list[str]]) -> list[Question]:
    """The six dimensions in the reader's language, then overall."""
    asked = [(d.key, d.name, d.question) for d in dimensions_in(get_language())]
    asked.append((OVERALL, _("Overall"), _("Which text would you rather have in a patient’s record?")))
    labels = dict(PreferenceChoice.Choice.choices)
    return [
        Question(
            key=key,
            name=name,
            question=question,
            options=tuple((value, str(labels[value]), mark, choices.get(key) == value) for value, mark in KEYS.items()),
            errors=errors.get(key, []),
        )
        for key, name, question in asked
    ]


def previous_vote(preference: Preference | None) -> dict[str, Any] | None:
    """Her vote just before and which arm stood where, if the administrator lets her know."""
    arms = arms_shown(preference) if preference else None
    if preference is None or arms is None:
        return None
    return {"code": preference.case.code, "left": arms[0], "right": arms[1]}
