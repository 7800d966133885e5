"""A picture file to the patches a Qwen2.5-VL reads; as a script, a worker that does so for lines on its standard input.

Run by its path (never imported as a package), it needs Pillow and NumPy only: it starts in a moment, keeps 30 MB and
ends with its parent. Patches are kept as bytes before normalisation, without the doubled frame: an eighth of the
float32 numbers that the model gets, and equal to them once looked up (`patches.to_pixel_values`).

A request is a line of JSON: "path", "cache" and the fields of PatchRule. The answer is a line of JSON, "grid" and
"size" or "error", and then `size` bytes.
"""

import contextlib
import hashlib
import json
import math
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageOps

CHANNELS = 3
ORIENTATION = 0x0112  # the EXIF tag
CAMERA_FORMATS = {"JPEG", "MPO", "TIFF", "WEBP"}  # others seldom carry it, and PNG would be decoded to see
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
SUFFIX, DRAFT, DRAFT_AGE_S = ".patches", ".draft-", 3600
Patches = tuple[np.ndarray, tuple[int, int, int]]


@dataclass(frozen=True)
class PatchRule:
    """How an image processor cuts pictures: sizes in pixels, `resample` Pillow's number of the filter."""

    patch: int
    merge: int
    min_pixels: int
    max_pixels: int
    resample: int


def resized(width: int, height: int, rule: PatchRule) -> tuple[int, int]:
    """Width and height in pixels that the picture is resized to: multiples of patch × merge within the bounds, the
    shape kept as far as possible (Qwen2-VL's rule). Raises ValueError for a picture 200 times longer than wide."""
    if max(width, height) > 200 * min(width, height):
        raise ValueError(f"it is {width} × {height} pixels, more than 200 times longer than wide")
    factor = rule.patch * rule.merge
    wide, high = (round(side / factor) * factor for side in (width, height))
    if wide * high > rule.max_pixels:
        scale = math.sqrt(width * height / rule.max_pixels)
        wide, high = (max(factor, math.floor(side / scale / factor) * factor) for side in (width, height))
    elif wide * high < rule.min_pixels:
        scale = math.sqrt(rule.min_pixels / (width * height))
        wide, high = (math.ceil(side * scale / factor) * factor for side in (width, height))
    return wide, high


def orientation(image: Image.Image) -> int:
    """1 to 8 as EXIF counts them, 1 where nothing is said; reads the header only."""
    return image.getexif().get(ORIENTATION, 1) if image.format in CAMERA_FORMATS else 1


def upright(image: Image.Image) -> Image.Image:
    """The picture in RGB, turned as its camera says."""
    turned = ImageOps.exif_transpose(image) if orientation(image) != 1 else image
    return turned.convert("RGB")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of `upright`, from the header."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def make_patches(image: Image.Image, rule: PatchRule) -> Patches:
    """Patches [patches, 3 · patch²] as bytes in the order of the merged visual tokens; the grid (1, rows, columns)."""
    seen = upright(image)
    wide, high = resized(*seen.size, rule)
    pixels = np.asarray(seen.resize((wide, high), resample=rule.resample))
    rows, columns = high // rule.patch, wide // rule.patch
    merge, patch = rule.merge, rule.patch
    tiles = pixels.reshape(rows // merge, merge, patch, columns // merge, merge, patch, CHANNELS)
    flat = tiles.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns, CHANNELS * patch**2)
    return np.ascontiguousarray(flat), (1, rows, columns)


def read_patches(path: Path, rule: PatchRule, cache: Path | None = None) -> Patches:
    """Patches of the picture at `path`, from the cache where it has them. Raises an error of UNREADABLE."""
    content = path.read_bytes()
    kept = cache / f"{cache_key(content, rule)}{SUFFIX}" if cache else None
    if kept is not None and (found := read_kept(kept)) is not None:
        return found
    with Image.open(path) as image:
        patches, grid = make_patches(image, rule)
    if kept is not None:
        keep(kept, patches, grid)
    return patches, grid


def cache_key(content: bytes, rule: PatchRule) -> str:
    """Changes with the picture's bytes, the rule and Pillow, whose filters may change."""
    about = json.dumps([hashlib.sha256(content).hexdigest(), asdict(rule), PIL.__version__], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()


def read_kept(file: Path) -> Patches | None:
    """None where there is nothing, or nothing whole."""
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        about = json.loads(head)
        patches = np.frombuffer(body, dtype=np.uint8).reshape(math.prod(about["grid"]), about["width"])
        os.utime(file)  # the longest unused are deleted first
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return patches, tuple(about["grid"])


def keep(file: Path, patches: np.ndarray, grid: tuple[int, int, int]) -> None:
    """Write under another name, then rename: a file is whole or not there. A full disk costs time, no picture."""
    head = json.dumps({"grid": grid, "width": patches.shape[1]}).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=DRAFT, delete=False) as draft:
            draft.write(head + b"\n" + patches.tobytes())
        Path(draft.name).replace(file)
    except OSError as error:
        print(f"a prepared picture could not be kept: {error}", file=sys.stderr)


def prune(folder: Path, most_bytes: int) -> None:
    """Delete what was unused longest until the folder holds at most `most_bytes`, and drafts that a kill left."""
    now, kept = time.time(), []
    for file in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another process prunes too
            about = file.stat()
            if file.name.startswith(DRAFT) and now - about.st_mtime > DRAFT_AGE_S:
                file.unlink()
            elif file.suffix == SUFFIX:
                kept.append((about.st_mtime, about.st_size, file))
    over = sum(size for _, size, _ in kept) - most_bytes
    for _, size, file in sorted(kept, key=lambda entry: entry[0]):
        if over <= 0:
            break
        file.unlink(missing_ok=True)
        over -= size


def answer(line: str) -> tuple[dict[str, Any], bytes]:
    asked = json.loads(line)
    path, cache = Path(asked.pop("path")), asked.pop("cache")
    try:
        patches, grid = read_patches(path, PatchRule(**asked), Path(cache) if cache else None)
    except MemoryError:
        return {"error": "there is not enough memory to open it"}, b""
    except UNREADABLE as error:
        return {"error": str(error)}, b""
    return {"grid": grid, "size": patches.nbytes}, patches.tobytes()


def main() -> None:
    for line in sys.stdin:
        head, body = answer(line)
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
