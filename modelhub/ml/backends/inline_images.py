"""Pictures as data URLs: encoded anew, so that camera data stays here, and no larger than asked."""

import base64
import io
import math
from pathlib import Path

from PIL import Image

from modelhub.ml.patch_worker import UNREADABLE, upright

MOST_PIXELS = 1_003_520  # the paper's evaluation bound
MOST_BYTES = 3_000_000  # before base64, which adds a third
LOSSLESS_BYTES = 1_000_000
QUALITY = 92


def data_url(path: Path, most_pixels: int | None = None) -> str:
    """The picture at `path` within `most_pixels` as PNG where that is small, else as JPEG, at most MOST_BYTES.

    Raises OSError naming the file where it cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            lossless, seen = image.format == "PNG", upright(image)
    except UNREADABLE as error:
        raise OSError(f"{path.name} cannot be read as an image: {error}") from error
    seen = shrunk(seen, most_pixels or MOST_PIXELS)
    if lossless and len(content := encoded(seen, "PNG")) <= LOSSLESS_BYTES:
        return as_url("png", content)
    while len(content := encoded(seen, "JPEG")) > MOST_BYTES:
        seen = shrunk(seen, seen.width * seen.height // 2)
    return as_url("jpeg", content)


def shrunk(image: Image.Image, most_pixels: int) -> Image.Image:
    scale = math.sqrt(most_pixels / (image.width * image.height))
    if scale >= 1:
        return image
    size = max(1, math.floor(image.width * scale)), max(1, math.floor(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **({"quality": QUALITY} if kind == "JPEG" else {}))
    return content.getvalue()


def as_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
