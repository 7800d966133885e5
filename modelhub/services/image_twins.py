"""Images of an evaluation set that a model may have seen in training: the same file, or nearly the same picture.

Near: the difference hashes (16 × 16 brightness steps from left to right, of a grey picture of 17 × 16 points) differ in
at most 12 of 256 bits, as after saving again, scaling or a small change of brightness. A picture without steps, such as
a plain colour, has no hash. Needs numpy and Pillow: for workers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoring.models import CaseImage

SIDE, NEAR = 16, 12
LEAST_STEPS = 8  # bits set, below which a picture is too plain to be told from others
EXACT, CLOSE = "exact", "near"
ROWS = 256  # of one block of comparisons


@dataclass(frozen=True)
class Twin:
    """A case of the evaluation set whose picture is also one of the training case; ``distance`` in bits of 256."""

    case: int
    training_case: int
    kind: str
    distance: int


def image_hash(picture: Image.Image) -> NDArray[np.uint64] | None:
    """(4,) words of 64 bits, or ``None`` for a picture that is too plain."""
    small = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS)
    points = np.asarray(small, dtype=np.int16)
    steps = points[:, 1:] > points[:, :-1]
    if min(int(steps.sum()), int((points[:, 1:] < points[:, :-1]).sum())) < LEAST_STEPS:
        return None
    return np.packbits(steps).view(np.uint64)


def find_twins(evaluation: Iterable[int], training: Iterable[int]) -> list[Twin]:
    """For each evaluation case (key) with a twin among the training cases its closest one, exact before near."""
    tested, learned = _hashes(evaluation), _hashes(training)
    found: dict[int, Twin] = {}
    same: dict[str, int] = {name: image.case for image in reversed(learned) for name in image.names}
    for image in tested:
        match = next((same[name] for name in image.names if name in same), None)
        if match is not None:
            found[image.case] = Twin(image.case, match, EXACT, 0)
    _add_near([image for image in tested if image.case not in found], learned, found)
    return [found[case] for case in sorted(found)]


@dataclass(frozen=True)
class _Hashed:
    case: int
    names: tuple[str, str]
    bits: NDArray[np.uint64] | None


def _hashes(cases: Iterable[int]) -> list[_Hashed]:
    """Raises ``OSError`` for a picture whose file is gone."""
    rows = []
    for image in CaseImage.objects.filter(case__in=list(cases)).order_by("case_id", "position").iterator():
        with image.thumbnail.open("rb") as stream, Image.open(stream) as picture:
            rows.append(_Hashed(image.case_id, (image.sha256, image.original_sha256), image_hash(picture)))
    return rows


def _add_near(tested: Sequence[_Hashed], learned: Sequence[_Hashed], found: dict[int, Twin]) -> None:
    here, there = ([image for image in some if image.bits is not None] for some in (tested, learned))
    if not here or not there:
        return
    known = np.stack([image.bits for image in there if image.bits is not None])
    for start in range(0, len(here), ROWS):
        block = here[start : start + ROWS]
        bits = np.stack([image.bits for image in block if image.bits is not None])
        apart = np.bitwise_count(bits[:, None, :] ^ known[None, :, :]).sum(axis=2)
        for image, row in zip(block, apart, strict=True):
            place = int(row.argmin())
            before = found.get(image.case)
            if row[place] <= NEAR and (before is None or row[place] < before.distance):
                found[image.case] = Twin(image.case, there[place].case, CLOSE, int(row[place]))
