"""Drawn cases with narratives good and poor, rated by simulated physicians: DermEval's training and unseen cases."""

from pathlib import Path

import numpy as np

from bench.ablation_data import DrawnCase, draw_cases
from modelhub.ml.dermeval_data import CRITIQUES_FILE, Physician, RatedNarrative, read_rated, write_rated
from modelhub.ml.synthetic.lesion import sample
from modelhub.ml.synthetic.physicians import PHYSICIANS, draw_kind, rated_text, reasons_of

TONES = ("light", "medium")  # what the tiny model can see
UNSEEN_SEED = 70_000


def rated_set(folder: Path, *, cases: int, each: int, seed: int) -> list[RatedNarrative]:
    """`each` narratives about every one of `cases` drawings, each rated by every simulated physician; the same for a
    seed, made where it is not there yet."""
    if not (folder / CRITIQUES_FILE).exists():
        rng = np.random.default_rng(seed)
        drawn = [
            DrawnCase(f"{seed}-{n:04}", sample(rng, skin_tone=str(rng.choice(TONES))), int(rng.integers(2**31)))
            for n in range(cases)
        ]
        images = draw_cases(drawn, folder / "images")
        rated = [
            _rated(case, image, number, rng)
            for case, image in zip(drawn, images, strict=True)
            for number in range(each)
        ]
        write_rated(rated, folder)
    return read_rated(folder)


def _rated(case: DrawnCase, image: Path, number: int, rng: np.random.Generator) -> RatedNarrative:
    text = rated_text(case.lesion, draw_kind(rng), rng)
    scores = [(who.name, who.scores(case.lesion, text, rng)) for who in PHYSICIANS]
    said = tuple(Physician(name, found, reasons_of(found)) for name, found in scores)
    return RatedNarrative(case.key, f"{case.key}-{number}", (image,), text, said)
