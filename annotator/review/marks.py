"""All raters' marks merged onto the text: each step cut where a marked span begins or ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scoring.models import Mark, NarrativeVersion


@dataclass(frozen=True)
class RaterMark:
    """A mark with its rater's pseudonym and its ``number`` on the page, from 1."""

    number: int
    rater: str
    mark: Mark

    @property
    def span(self) -> tuple[int, int] | None:
        """Code points into the version's text, half open."""
        if self.mark.span_start is None or self.mark.span_end is None:
            return None
        return self.mark.span_start, self.mark.span_end


@dataclass(frozen=True)
class Segment:
    """Consecutive characters that the same marks cover."""

    text: str
    marks: tuple[RaterMark, ...]


@dataclass(frozen=True)
class MarkedStep:
    number: int
    heading: str
    segments: tuple[Segment, ...]
    marks: tuple[RaterMark, ...]

    @property
    def is_wrong(self) -> bool:
        return any(entry.mark.verdict == Mark.Verdict.ERROR for entry in self.marks)

    @property
    def said_right(self) -> int:
        """How many raters marked the step as right."""
        return sum(entry.mark.verdict == Mark.Verdict.OK for entry in self.marks)

    @property
    def errors(self) -> tuple[RaterMark, ...]:
        return tuple(entry for entry in self.marks if entry.mark.verdict == Mark.Verdict.ERROR)


def marked_steps(version: NarrativeVersion, marks: Sequence[tuple[str, Mark]]) -> list[MarkedStep]:
    """The version's steps with every (pseudonym, mark) that belongs to them; marks are numbered in reading order."""
    ordered = sorted(marks, key=lambda entry: (entry[1].step, entry[1].span_start or 0, entry[0]))
    numbered = [RaterMark(number, rater, mark) for number, (rater, mark) in enumerate(ordered, start=1)]
    found = []
    for step in version.step_texts():
        here = tuple(entry for entry in numbered if entry.mark.step == step["number"])
        cut = segments(version.text, step["start"], step["end"], here)
        found.append(MarkedStep(step["number"], step["heading"], cut, here))
    return found


def segments(text: str, start: int, end: int, marks: Sequence[RaterMark]) -> tuple[Segment, ...]:
    """``text[start:end]`` cut at the spans' ends; joined, the segments give it back."""
    spans = [(entry, *entry.span) for entry in marks if entry.span]
    edges = {start, end} | {edge for _, one, other in spans for edge in (one, other) if start < edge < end}
    return tuple(
        Segment(text[one:other], tuple(entry for entry, first, last in spans if first <= one and other <= last))
        for one, other in pairwise(sorted(edges))
    )
