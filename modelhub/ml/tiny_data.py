"""Drawn training and held-out sets for the tiny model, kept on disk so that they are drawn once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from modelhub.ml.synthetic import drawing, lesion
from modelhub.ml.synthetic.lesion import Lesion

SIDE = 112  # pixels that the model sees, both ways
PATCH, MERGE, FRAMES = 14, 2, 2  # Qwen2.5-VL's
MEAN = (0.48145466, 0.4578275, 0.40821073)  # OpenAI CLIP's, as in Qwen2.5-VL
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class DrawnSet:
    """``pixels`` uint8 [n, SIDE, SIDE, 3] and the truth of each, in the same order."""

    pixels: np.ndarray
    lesions: list[Lesion]

    def __len__(self) -> int:
        return len(self.lesions)


def draw_set(*, count: int, seed: int, tones: dict[str, float], cache: Path | None = None) -> DrawnSet:
    """``count`` drawings with skin tones in the shares of ``tones`` (sum 1), the same for a seed.

    Drawn at full size, then resized as the image processor does (bicubic), so that the model sees in
    training what it sees in use. ``cache`` is a folder; a set that today's code would draw otherwise is drawn again.
    """
    file = _cache_file(count, seed, tones, cache)
    if file is not None and file.exists():
        stored = np.load(file)
        return DrawnSet(stored["pixels"], [Lesion.from_dict(row) for row in json.loads(str(stored["lesions"]))])
    rng = np.random.default_rng(seed)
    names = rng.choice(list(tones), size=count, p=list(tones.values()))
    lesions = [lesion.sample(rng, skin_tone=str(name)) for name in names]
    pixels = np.stack([_small(item, seed * 1_000_000 + index) for index, item in enumerate(lesions)])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, pixels=pixels, lesions=json.dumps([item.as_dict() for item in lesions]))
    return DrawnSet(pixels, lesions)


def _small(item: Lesion, seed: int) -> np.ndarray:
    picture = drawing.draw(item, seed)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _cache_file(count: int, seed: int, tones: dict[str, float], cache: Path | None) -> Path | None:
    if cache is None:
        return None
    probe = [_small(lesion.sample(np.random.default_rng(number)), number).tobytes() for number in range(6)]
    words = f"{count} {seed} {sorted(tones.items())} {lesion.ATTRIBUTES}".encode()
    key = hashlib.sha256(words + b"".join(probe)).hexdigest()[:16]
    return cache / f"drawn-{key}.npz"


def turned(pixels: np.ndarray, rng: np.random.Generator, *, reach: int = 7) -> np.ndarray:
    """Each picture flipped, turned by quarters and moved by up to ``reach`` pixels; no attribute changes by it.

    Moving by up to half a patch matters: a lesion's edge may cross the patches anywhere.
    """
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    side = pixels.shape[1]
    rows = []
    for item in padded:
        top, left = rng.integers(0, 2 * reach + 1, 2)
        item = np.rot90(item[top : top + side, left : left + side], int(rng.integers(0, 4)))
        rows.append(item[:, ::-1] if rng.random() < 0.5 else item)
    return np.stack(rows)


def patches(pixels: np.ndarray) -> np.ndarray:
    """uint8 pictures [n, SIDE, SIDE, 3] as the image processor's ``pixel_values``: float32 [n·64, 1176].

    Patches come in the order of the 2 × 2 merge; each holds channel, frame (the picture twice), rows, columns.
    """
    count, cells = len(pixels), SIDE // PATCH // MERGE
    grid = pixels.reshape(count, cells, MERGE, PATCH, cells, MERGE, PATCH, 3)
    # n, row, column, in-row, in-column, channel, y, x; moved as bytes, which is a quarter of the work
    grid = np.ascontiguousarray(grid.transpose(0, 1, 4, 2, 5, 7, 3, 6)).astype(np.float32)
    grid = (grid / 255 - _by_channel(MEAN)) / _by_channel(STD)
    grid = np.repeat(grid[:, :, :, :, :, :, None], FRAMES, axis=6)
    return np.ascontiguousarray(grid.reshape(count * (cells * MERGE) ** 2, -1))


def _by_channel(values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32)[:, None, None]
