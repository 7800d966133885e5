"""Physicians' critiques as DermEval learns from them: `critiques.jsonl` and its images, read, checked, hashed.

One line per narrative: `{"case", "version", "images": [relative path], "narrative", "critiques": [{"rater", "scores":
{six keys: 0 to 5 or null}, "reasons": {six keys: a sentence}}]}`. `case` is the cluster: no case may be split between
training and checking.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from modelhub.ml.checkpoint_files import hash_file
from modelhub.ml.dermeval_format import write_critique
from modelhub.ml.train_data import DatasetError, resolve_image
from scoring.rubric import DIMENSION_KEYS

CRITIQUES_FILE = "critiques.jsonl"


@dataclass(frozen=True)
class Physician:
    """One rater's critique. `scores`: 0 to 5, None where she cannot judge; `reasons`: a sentence per dimension."""

    rater: str
    scores: Mapping[str, float | None]
    reasons: Mapping[str, str]

    @property
    def text(self) -> str:
        return write_critique(self.scores, self.reasons)


@dataclass(frozen=True)
class RatedNarrative:
    """A narrative and what physicians said of it, without knowing each other's scores."""

    case: str
    version: str
    images: tuple[Path, ...]
    narrative: str
    physicians: tuple[Physician, ...]

    def mean_scores(self) -> dict[str, float | None]:
        """Per dimension the mean of those who could judge; None where nobody could."""
        means: dict[str, float | None] = {}
        for key in DIMENSION_KEYS:
            known = [value for one in self.physicians if (value := one.scores[key]) is not None]
            means[key] = fmean(known) if known else None
        return means


def read_rated(folder: Path) -> list[RatedNarrative]:
    """Every line of `critiques.jsonl`. Raises DatasetError naming the line."""
    path = folder / CRITIQUES_FILE
    if not path.exists():
        raise DatasetError(f"{path} does not exist: a folder for DermEval holds {CRITIQUES_FILE} and its images")
    lines = path.read_text(encoding="utf-8").split("\n")
    rated = [_read(folder, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rated:
        raise DatasetError(f"{path} holds no rated narrative")
    if len({one.version for one in rated}) != len(rated):
        raise DatasetError(f"{path} holds a version twice")
    return rated


def _read(folder: Path, number: int, line: str) -> RatedNarrative:
    try:
        raw = json.loads(line)
        images = tuple(resolve_image(folder, name) for name in raw["images"])
        physicians = tuple(_physician(one) for one in raw["critiques"])
        rated = RatedNarrative(str(raw["case"]), str(raw["version"]), images, str(raw["narrative"]), physicians)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{CRITIQUES_FILE}, line {number}: {error!s} ({type(error).__name__})") from error
    if not (rated.images and rated.physicians and rated.narrative.strip()):
        raise DatasetError(f"{CRITIQUES_FILE}, line {number}: needs an image, a narrative and a critique")
    return rated


def _physician(raw: dict[str, Any]) -> Physician:
    scores = {key: None if raw["scores"][key] is None else float(raw["scores"][key]) for key in DIMENSION_KEYS}
    physician = Physician(str(raw["rater"]), scores, {key: str(raw["reasons"][key]) for key in DIMENSION_KEYS})
    write_critique(physician.scores, physician.reasons)
    return physician


def write_rated(rated: Sequence[RatedNarrative], folder: Path) -> None:
    """`critiques.jsonl`; the images must lie in the folder already. Raises ValueError where one does not."""
    rows = [
        {
            "case": one.case,
            "version": one.version,
            "images": [str(image.resolve().relative_to(folder.resolve())) for image in one.images],
            "narrative": one.narrative,
            "critiques": [
                {"rater": p.rater, "scores": dict(p.scores), "reasons": dict(p.reasons)} for p in one.physicians
            ],
        }
        for one in rated
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / CRITIQUES_FILE).write_text(text, encoding="utf-8")


def hash_rated(folder: Path, rated: Sequence[RatedNarrative]) -> str:
    """SHA-256 over the file and the content of every image, in order."""
    digest = hashlib.sha256(hash_file(folder / CRITIQUES_FILE).encode())
    for one in rated:
        for image in one.images:
            digest.update(hash_file(image).encode())
    return digest.hexdigest()
