"""Pictures as they come in, made into pictures that say nothing but what they show."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 60 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 16
THUMBNAIL_SIDE = 320
NEUTRAL = (128, 128, 128)  # what lies behind transparent parts
JPEG_SETTINGS = {"quality": 95, "subsampling": 0, "optimize": True}
NOT_READABLE = "it is damaged or not a picture; export it again as JPEG, PNG or WebP"


class ImageRefused(Exception):
    """A picture that is not taken; the message says why, as the end of a sentence about the file."""


@dataclass(frozen=True)
class CleanImage:
    """``content`` is RGB in sRGB without any metadata; ``thumbnail`` a JPEG of at most 320 px a side."""

    content: bytes
    media_type: str
    width: int
    height: int
    sha256: str
    original_sha256: str
    thumbnail: bytes

    @property
    def suffix(self) -> str:
        return "png" if self.media_type == "image/png" else "jpg"


def clean_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> CleanImage:
    """Decode under a pixel limit, turn upright, paste into a new image and encode that.

    PNG stays PNG (lossless); JPEG and WebP become JPEG at quality 95 without chroma subsampling. Colours are converted
    to sRGB by the embedded profile (an unusable profile counts as sRGB), transparency is laid on neutral grey.
    Raises ``ImageRefused``.
    """
    if len(data) > MAX_BYTES:
        raise ImageRefused(f"it has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are taken")
    try:
        with _opened(data, max_pixels) as image:
            lossless = image.format == "PNG"
            pixels = _plain_pixels(image)
    except ImageRefused:
        raise
    except Exception as error:  # a decoder fed with hostile bytes may raise anything; the import must go on
        raise ImageRefused(_reason(error)) from error
    content = _encoded(pixels, lossless)
    return CleanImage(
        content=content,
        media_type="image/png" if lossless else "image/jpeg",
        width=pixels.width,
        height=pixels.height,
        sha256=hashlib.sha256(content).hexdigest(),
        original_sha256=hashlib.sha256(data).hexdigest(),
        thumbnail=_thumbnail(pixels),
    )


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    """The picture with only its header read, all checks that need no pixels passed."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_size(image, max_pixels)
    # A phone's JPEG may hold a second picture (MPO: a gain map, a preview). It is still one photograph.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ImageRefused("it is animated; save one frame as a still picture")
    return image


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRefused(f"it has {width} × {height} pixels; at most {max_pixels / 1e6:g} million are taken")
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(f"it has {width} × {height} pixels; at least {MIN_SIDE} a side are needed to see anything")


def _plain_pixels(image: Image.Image) -> Image.Image:
    """Upright sRGB pixels in an image that never knew the original's metadata."""
    image.load()
    profile = image.info.get("icc_profile")
    image = _upright(image)
    if image.has_transparency_data:
        full = image.convert("LA" if image.mode in ("L", "LA", "1") else "RGBA")
        alpha = full.getchannel("A")
        colours = _in_srgb(full.convert(full.mode[:-1]), profile)
    else:
        alpha, colours = None, _in_srgb(_eight_bit(image), profile)
    clean = Image.new("RGB", image.size, NEUTRAL)
    clean.paste(colours, mask=alpha)
    return clean


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # unreadable EXIF says nothing about orientation: the pixels stand as they are
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey: Pillow's own conversion would clip them
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _encoded(pixels: Image.Image, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    if lossless:
        pixels.save(buffer, "PNG", compress_level=6)
    else:
        pixels.save(buffer, "JPEG", **JPEG_SETTINGS)
    return buffer.getvalue()


def _thumbnail(pixels: Image.Image) -> bytes:
    small = pixels.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return buffer.getvalue()


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "it claims far more pixels than are taken"
    if "truncated" in str(error).lower():
        return "it is truncated: its end is missing; copy it again from where it came"
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    return NOT_READABLE
