"""Draw a synthetic lesion on textured skin. Pixels depend only on (lesion, seed, size)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion

CANVAS = 448  # everything is drawn here in pixels, then resized

SKIN = {"light": (234, 198, 174), "medium": (198, 148, 110), "dark": (94, 62, 46)}
PIGMENT = {"red": (198, 68, 64), "brown": (124, 76, 44), "black": (42, 34, 44)}
# On dark skin redness turns violaceous and brown nears black: what a model that
# only saw lighter skin reads wrongly.
PIGMENT_ON_DARK = {"red": (116, 42, 50), "brown": (52, 28, 14), "black": (14, 14, 30)}
RADIUS = {"small": 35.0, "intermediate": 56.0, "large": 84.0}


def draw(lesion: Lesion, seed: int, size: int = CANVAS, watermark: bool = True) -> Image.Image:
    """An RGB picture of ``lesion``, ``size`` × ``size`` pixels, the same for the same arguments.

    Raises ValueError for a size under 56 pixels, where shapes are no longer visible.
    """
    if size < 56:
        raise ValueError(f"size is {size}; a drawing needs at least 56 pixels.")
    key = [values.index(getattr(lesion, name)) for name, values in ATTRIBUTES.items()]
    rng = np.random.default_rng([seed, *key])
    canvas = _skin(lesion, rng)
    mask, depth = _lesion_mask(lesion, rng)
    canvas = _paint(canvas, mask, depth, lesion, rng)
    canvas *= _light(rng)
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _hairs(image, lesion, rng)
    if watermark:
        _watermark(image, lesion)
    return image if size == CANVAS else image.resize((size, size), Image.Resampling.BICUBIC)


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise in about −2..2 over the canvas, ``cells`` bumps across."""
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    grown = Image.fromarray(coarse).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    return np.asarray(grown)


def _skin(lesion: Lesion, rng: np.random.Generator) -> np.ndarray:
    base = np.array(SKIN[lesion.skin_tone], np.float32) * np.float32(1 + rng.normal(0, 0.025))
    base += rng.normal(0, 3, 3) * base.mean() / 200
    strength = np.float32(base.mean() / 190)
    texture = 3.0 * _noise(rng, 8) + 2.0 * _noise(rng, 40) + 3.0 * _noise(rng, 150)
    return base.astype(np.float32) + (strength * texture)[..., None] * np.array([1, 0.95, 0.9], np.float32)


def _light(rng: np.random.Generator) -> np.ndarray:
    """A soft lamp from one side and a faint vignette, as a factor per pixel."""
    axis = np.linspace(-1, 1, CANVAS, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = float(np.cos(angle)) * axis[None, :] + float(np.sin(angle)) * axis[:, None]
    vignette = axis[None, :] ** 2 + axis[:, None] ** 2
    return (1.01 + 0.04 * slope - 0.05 * vignette)[..., None]


def _centres(lesion: Lesion, reach: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Places for the lesions, far enough apart not to merge (``reach`` in pixels)."""
    half, quarter = CANVAS / 2, CANVAS / 4
    if lesion.number == "solitary":
        return [tuple(half + rng.uniform(-70, 70, 2))]
    slack = max(quarter - reach, 4.0)
    if lesion.number == "paired":
        across = rng.uniform(-60, 60, 2)
        spots = [(quarter, half + across[0]), (3 * quarter, half + across[1])]
        if rng.random() < 0.5:
            spots = [(y, x) for x, y in spots]
    else:
        spots = [(quarter * i, quarter * j) for i in (1, 3) for j in (1, 3)]
        if lesion.size == "small":
            spots.append((half, half))
    shift = rng.uniform(-slack * 0.7, slack * 0.7, (len(spots), 2))
    return [(x + dx, y + dy) for (x, y), (dx, dy) in zip(spots, shift, strict=True)]


def _lesion_mask(lesion: Lesion, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coverage 0..1 and relative distance from the centre (0 middle, 1 edge) per pixel."""
    radius = RADIUS[lesion.size]
    long, short = (1.36, 0.64) if lesion.shape == "oval" else (1.0, 1.0)
    mask = np.zeros((CANVAS, CANVAS), np.float32)
    depth = np.ones((CANVAS, CANVAS), np.float32)
    reach = int(radius * long * 1.75)
    for cx, cy in _centres(lesion, radius * long, rng):
        left, top = max(int(cx) - reach, 0), max(int(cy) - reach, 0)
        window = np.s_[top : int(cy) + reach, left : int(cx) + reach]
        rows, columns = mask[window].shape
        y, x = np.ogrid[top - cy : top - cy + rows - 0.5, left - cx : left - cx + columns - 0.5]
        own = radius * rng.uniform(0.93, 1.07)
        turn = rng.uniform(0, np.pi)
        u = ((x * np.cos(turn) + y * np.sin(turn)) / long).astype(np.float32)
        v = ((y * np.cos(turn) - x * np.sin(turn)) / short).astype(np.float32)
        ratio = np.hypot(u, v) / (own * _outline(lesion.border, np.arctan2(v, u), rng))
        soft = 0.8 if lesion.border == "ill-defined" else 2.5 / own
        cover = _step((1 - ratio) / soft + 0.5)
        if lesion.shape == "annular":
            cover = cover * (1 - 0.92 * _step((0.56 - ratio) / min(soft, 0.3) + 0.5))
        mask[window] = np.maximum(mask[window], cover)
        depth[window] = np.minimum(depth[window], ratio)
    return mask, depth


def _outline(border: str, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The edge's distance as a factor by angle: 1, or notched for an irregular border."""
    waves = ((2, 0.03), (3, 0.02)) if border != "irregular" else ((4, 0.12), (6, 0.17), (9, 0.08))
    edge = np.ones_like(theta)
    for count, height in waves:
        edge += np.float32(height) * np.sin(count * theta + np.float32(rng.uniform(0, 2 * np.pi)))
    return edge


def _step(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def _paint(
    canvas: np.ndarray, mask: np.ndarray, depth: np.ndarray, lesion: Lesion, rng: np.random.Generator
) -> np.ndarray:
    palette = PIGMENT_ON_DARK if lesion.skin_tone == "dark" else PIGMENT
    pigment = np.array(palette[lesion.colour], np.float32)
    pigment *= np.float32(1 + rng.normal(0, 0.05)) + rng.normal(0, 0.03, 3).astype(np.float32)
    mottling = 1 + 0.06 * _noise(rng, 24) + 0.04 * _noise(rng, 90)
    if lesion.colour == "red":
        mottling += 0.07 * np.maximum(_noise(rng, 70) - 0.9, 0)  # pale scale
    shade = (mottling * (0.94 + 0.1 * depth))[..., None]
    opacity = (0.93 * mask)[..., None]
    return canvas * (1 - opacity) + pigment * shade * opacity


def _hairs(image: Image.Image, lesion: Lesion, rng: np.random.Generator) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    ink = (40, 26, 20, 90) if lesion.skin_tone != "dark" else (16, 10, 8, 110)
    for _ in range(int(rng.integers(0, 5))):
        start = rng.uniform(0, CANVAS, 2)
        angle, bend, length = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1), rng.uniform(60, 150)
        steps = np.linspace(0, 1, 12)
        xs = start[0] + length * steps * np.cos(angle + bend * steps)
        ys = start[1] + length * steps * np.sin(angle + bend * steps)
        pen.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=ink, width=1)


def _watermark(image: Image.Image, lesion: Lesion) -> None:
    pen = ImageDraw.Draw(image, "RGBA")
    ink = (255, 255, 255, 130) if lesion.skin_tone == "dark" else (60, 40, 30, 120)
    pen.text((CANVAS - 8, CANVAS - 6), "synthetic", fill=ink, font=ImageFont.load_default(15), anchor="rs")
