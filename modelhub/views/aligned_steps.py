"""Two narratives as sections of the same kind side by side, with the words that differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from scoring.models import NarrativeVersion
from scoring.narrative_format import STEP_KINDS
from scoring.worddiff import DELETE, EQUAL, INSERT, Chunk, word_diff


@dataclass(frozen=True)
class Part:
    text: str
    differs: bool


@dataclass(frozen=True)
class AlignedSection:
    """One kind of step on both sides; an empty side says nothing of this kind."""

    kind: str
    heading: str
    left: tuple[Part, ...]
    right: tuple[Part, ...]

    @property
    def sides(self) -> tuple[tuple[str, tuple[Part, ...]], ...]:
        return ("left", self.left), ("right", self.right)


def aligned_sections(left: NarrativeVersion | None, right: NarrativeVersion | None) -> tuple[AlignedSection, ...]:
    """The kinds in the order of the format; a text without steps stands whole under “Text”."""
    sections = []
    for kind, heading in [*STEP_KINDS.items(), ("", "Text")]:
        texts = [text_of(version, kind) for version in (left, right)]
        if any(texts):
            sections.append(AlignedSection(kind, heading, *differing(*texts)))
    return tuple(sections)


def text_of(version: NarrativeVersion | None, kind: str) -> str:
    """A version's sentences of one kind in reading order; for an empty kind its text if it has no steps."""
    if version is None:
        return ""
    if not kind:
        return "" if version.steps else version.text.strip()
    return " ".join(version.text[s.start : s.end] for s in version.step_list() if s.kind == kind)


def differing(left: str, right: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Both texts in parts; nothing is marked where one side is empty."""
    if not left or not right:
        return plain(left), plain(right)
    chunks = word_diff(left, right)
    return parts(chunks, DELETE), parts(chunks, INSERT)


def parts(chunks: Sequence[Chunk], own: str) -> tuple[Part, ...]:
    """One side's text; the white space behind its own words is not marked."""
    found: list[Part] = []
    for chunk in chunks:
        if chunk.op not in (own, EQUAL):
            continue
        words = chunk.text.rstrip() if chunk.op == own else ""
        found += [Part(words, True), Part(chunk.text[len(words) :], False)]
    return tuple(part for part in found if part.text)


def plain(text: str) -> tuple[Part, ...]:
    return (Part(text, False),) if text else ()
