"""DermEval's *fitted* reading: the expected number on a line per dimension.

The lines are fitted to physicians' means on cases that are held out from both stages of the training.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from modelhub.ml.checkpoint_files import CheckpointError, read_json
from modelhub.ml.dermeval_data import RatedNarrative
from modelhub.ml.train_checkpoint import write_json
from scoring.rubric import DIMENSION_KEYS

LINES_FILE = "lines.json"
LEAST_NARRATIVES = 20  # a dimension with fewer held-out pairs has no line
Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Line:
    """`offset` in points; `slope`, 0 or more, in points per expected point; `narratives` that it was fitted on."""

    offset: float
    slope: float
    narratives: int


@dataclass(frozen=True)
class FittedLines:
    """`lines`: by dimension, None where too few held-out narratives had both numbers; `cases`, `narratives`: held
    out, 0 where the data were too few to hold any out."""

    cases: int
    narratives: int
    lines: Mapping[str, Line | None]

    def read(self, expected: Scores) -> dict[str, float | None]:
        """The fitted reading, 0 to 5; the expected number where a dimension has no line, None where it has none."""
        return {key: _on_line(self.lines[key], expected[key]) for key in DIMENSION_KEYS}

    def to_dict(self) -> dict[str, Any]:
        lines = {key: None if line is None else vars(line) for key, line in self.lines.items()}
        return {"cases": self.cases, "narratives": self.narratives, "lines": lines}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        lines = {key: None if raw["lines"][key] is None else Line(**raw["lines"][key]) for key in DIMENSION_KEYS}
        return cls(raw["cases"], raw["narratives"], lines)


def _on_line(line: Line | None, expected: float | None) -> float | None:
    if line is None or expected is None:
        return expected
    return min(5.0, max(0.0, line.offset + line.slope * expected))


def hold_out(
    rated: Sequence[RatedNarrative], *, share: float, seed: int
) -> tuple[list[RatedNarrative], list[RatedNarrative]]:
    """What the stages learn from, and what the lines are fitted on: `share` of the cases, the same for a seed in any
    order. Nothing is held out where that gives fewer than `LEAST_NARRATIVES`."""
    cases = sorted({one.case for one in rated}, key=lambda case: hashlib.sha256(f"{seed}:{case}".encode()).digest())
    chosen = set(cases[: round(share * len(cases))])
    held = [one for one in rated if one.case in chosen]
    if len(held) < LEAST_NARRATIVES:
        return list(rated), []
    return [one for one in rated if one.case not in chosen], held


def fit_lines(held: Sequence[RatedNarrative], expected: Mapping[str, Scores]) -> FittedLines:
    """`expected`: by version the model's expected numbers of held-out narratives, 0 to 5, None where there is none."""
    truths = {one.version: one.mean_scores() for one in held}
    lines = {
        key: _fit((scores[key], truths[version][key]) for version, scores in expected.items()) for key in DIMENSION_KEYS
    }
    return FittedLines(len({one.case for one in held}), len(held), lines)


def _fit(pairs: Iterable[tuple[float | None, float | None]]) -> Line | None:
    """Least squares among lines that never fall."""
    known = np.array([pair for pair in pairs if None not in pair], dtype=float).reshape(-1, 2)
    if len(known) < LEAST_NARRATIVES:
        return None
    found, truth = known.T
    spread = float(((found - found.mean()) ** 2).sum())
    together = float(((found - found.mean()) * (truth - truth.mean())).sum())
    slope = max(0.0, together / spread) if spread > 0 else 0.0
    return Line(float(truth.mean()) - slope * float(found.mean()), slope, len(known))


def write_lines(folder: Path, lines: FittedLines) -> None:
    write_json(folder / LINES_FILE, lines.to_dict())


def read_lines(folder: Path) -> FittedLines:
    """Raises CheckpointError where the file is missing or broken."""
    try:
        return FittedLines.from_dict(read_json(folder / LINES_FILE))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / LINES_FILE} holds no fitted lines: {error!s}") from error
