"""Drawn cases for the ablation: training sets with exact narratives, and one held-out set that no model has seen."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelhub.ml.synthetic.drawing import draw
from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion, sample
from modelhub.ml.synthetic.wording import PROMPT, narrative

TONES = ATTRIBUTES["skin_tone"]
HELD_OUT_SEED = 90_000  # training sets count on from it; the tiny model and its teacher were made with seeds below 100


@dataclass(frozen=True)
class DrawnCase:
    """`seed`: the drawing's own; with the lesion it decides every pixel."""

    key: str
    lesion: Lesion
    seed: int


def make_cases(count: int, seed: int) -> list[DrawnCase]:
    """As many of each skin tone, everything else at random; the same for a seed."""
    rng = np.random.default_rng(seed)
    lesions = [sample(rng, skin_tone=TONES[number % len(TONES)]) for number in range(count)]
    return [DrawnCase(f"{seed}-{n:04}", lesion, int(rng.integers(2**31))) for n, lesion in enumerate(lesions)]


def draw_cases(cases: list[DrawnCase], folder: Path) -> list[Path]:
    """One PNG per case, drawn where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{case.key}.png" for case in cases]
    for case, path in zip(cases, paths, strict=True):
        if not path.exists():
            draft = path.with_suffix(".draft")
            draw(case.lesion, case.seed).save(draft, "PNG", compress_level=1)
            draft.replace(path)
    return paths


def write_training_set(cases: list[DrawnCase], folder: Path) -> None:
    """`train.jsonl` and images: what a data set of certified narratives looks like to the trainer."""
    paths = draw_cases(cases, folder / "images")
    rows = []
    for case, path in zip(cases, paths, strict=True):
        messages = [
            {"role": "user", "content": f"<image>{PROMPT}"},
            {"role": "assistant", "content": narrative(case.lesion, np.random.default_rng(case.seed))},
        ]
        rows.append(
            {
                "messages": messages,
                "images": [f"images/{path.name}"],
                "skin_labels": TONES.index(case.lesion.skin_tone),
            }
        )
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
