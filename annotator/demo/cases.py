"""The demo's cases: drawings with a known truth, each marked *synthetic* in the picture."""

import io
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from modelhub.models import SyntheticTruth
from scoring.models import Case, Source, Split
from scoring.services.cases import create_case

SKIN_TONE_SCALE = "three-level"
TONES = ("dark", "light", "medium")
SITES = ("forearm", "back", "thigh", "shoulder", "calf", "abdomen")


@dataclass(frozen=True)
class Size:
    """How many drawings the demo holds, by split."""

    training: int = 190  # fewer, and what the retrained model has learnt of dark skin is lost in the noise
    evaluation: int = 60


def create_source() -> Source:
    return Source.objects.create(
        name="Drawn lesions (synthetic)",
        licence="Apache-2.0, drawn by this software",
        basis="Drawings of invented lesions; no person is shown.",
        redistribute=Source.Redistribute.EMBED,
        may_train=True,
        may_leave_site=True,
    )


def create_cases(*, source: Source, size: Size, seed: int) -> list[Case]:
    """Draw and store the cases; the truth goes to its own table, which only its evaluator reads."""
    import numpy as np

    from modelhub.ml.synthetic.lesion import sample

    rng = np.random.default_rng(seed)
    cases = []
    for split, count in ((Split.TRAINING, size.training), (Split.EVALUATION, size.evaluation)):
        for number in range(count):
            lesion = sample(rng, skin_tone=TONES[number % len(TONES)])
            drawing_seed = int(rng.integers(2**31))
            cases.append(_create_one(source, split, f"{split}-{number:04}", lesion, drawing_seed))
    return cases


@transaction.atomic
def _create_one(source: Source, split: str, key: str, lesion: Any, seed: int) -> Case:
    from modelhub.ml.synthetic.drawing import draw
    from modelhub.ml.synthetic.lesion import diagnosis

    buffer = io.BytesIO()
    draw(lesion, seed).save(buffer, "PNG", compress_level=1)  # cleaning encodes it again
    case = create_case(
        source=source,
        source_key=key,
        group_key=key,
        split=split,
        diagnosis=diagnosis(lesion),
        basis=Case.Basis.DATASET_LABEL,
        images=[buffer.getvalue()],
        age=20 + seed % 60,
        sex=(Case.Sex.FEMALE, Case.Sex.MALE)[seed % 2],
        body_site=SITES[seed % len(SITES)],
        skin_tone=lesion.skin_tone,
        skin_tone_scale=SKIN_TONE_SCALE,
    )
    SyntheticTruth.objects.create(case=case, lesion=lesion.as_dict())
    return case
