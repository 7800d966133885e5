"""Pictures come out saying nothing but what they show; what cannot be shown is refused with a reason."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from scoring.services.images import ImageRefused, clean_image
from tests.scoring.photographs import (
    CELL,
    MARKERS,
    RETINA,
    STRUCTURES,
    exif,
    planted_jpeg,
    planted_png,
    planted_webp,
    readable,
)

PLANTED = {"jpeg": planted_jpeg, "png": planted_png, "webp": planted_webp}
EXPECTED = {
    "jpeg": {"EXIF", "GPS", "XMP", "IPTC", "JPEG comment", "trailing bytes", "ICC"},
    "png": {"EXIF", "GPS", "XMP", "PNG text", "PNG compressed text", "trailing bytes", "ICC"},
    "webp": {"EXIF", "GPS", "XMP", "trailing bytes", "ICC"},
}


def encoded(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def refusal(data: bytes, **limits) -> str:
    with pytest.raises(ImageRefused) as caught:
        clean_image(data, **limits)
    return str(caught.value)


@pytest.mark.parametrize("kind", PLANTED)
def test_no_planted_metadata_survives(kind):
    data = PLANTED[kind]()
    before = readable(data)
    assert {name for name, marker in MARKERS.items() if marker in before} == EXPECTED[kind]

    clean = clean_image(data)

    for stored in (clean.content, clean.thumbnail):
        after = readable(stored)
        assert [name for name, marker in MARKERS.items() if marker in after] == []
        assert [structure for structure in STRUCTURES if structure in stored] == []
        with Image.open(io.BytesIO(stored)) as image:
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert not image.getexif()


def test_the_picture_itself_is_kept():
    clean = clean_image(CELL.read_bytes())
    assert (clean.media_type, clean.width, clean.height) == ("image/png", 550, 660)
    assert np.array_equal(pixels(clean.content), pixels(CELL.read_bytes()))
    retina = clean_image(RETINA.read_bytes())
    assert (retina.media_type, retina.width, retina.height) == ("image/jpeg", 1411, 1411)
    assert np.abs(pixels(retina.content) - pixels(RETINA.read_bytes())).mean() < 1.5


def test_hashes_are_of_the_stored_and_of_the_original_bytes():
    import hashlib

    data = RETINA.read_bytes()
    clean = clean_image(data)
    assert clean.sha256 == hashlib.sha256(clean.content).hexdigest()
    assert clean.original_sha256 == hashlib.sha256(data).hexdigest()
    assert clean_image(data) == clean


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_upright(orientation):
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste((200, 0, 0), (0, 0, 20, 20))  # red: top left
    upright.paste((0, 0, 200), (40, 0, 60, 20))  # blue: top right
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = upright.transpose(undo[orientation]) if orientation in undo else upright
    clean = clean_image(encoded(lying, "PNG", exif=exif(orientation)))
    assert (clean.width, clean.height) == (60, 40)
    assert np.array_equal(pixels(clean.content), np.asarray(upright).astype(int))


def test_thumbnail_is_small_and_keeps_its_shape():
    clean = clean_image(RETINA.read_bytes())
    with Image.open(io.BytesIO(clean.thumbnail)) as small:
        assert (small.format, small.size) == ("JPEG", (320, 320))
    tiny = clean_image(encoded(Image.new("RGB", (40, 20))))
    with Image.open(io.BytesIO(tiny.thumbnail)) as small:
        assert small.size == (40, 20)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_neutral_grey(mode):
    see_through = Image.new(mode, (32, 32), 0 if mode == "RGBA" else (0, 0))
    assert (pixels(clean_image(encoded(see_through)).content) == 128).all()


def test_a_transparent_palette_colour_is_laid_on_neutral_grey():
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert (pixels(clean_image(encoded(image, transparency=1)).content) == 128).all()


def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = pixels(clean_image(encoded(Image.fromarray(ramp))).content)
    assert (found.min(), found.max()) == (0, 255)
    assert abs(found.mean() - 127.5) < 1


def test_colours_are_converted_by_the_profile():
    """A profile with swapped primaries: what is stored as red means green, and must look green without it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at_red, at_green = profile.index(b"rXYZ", 128), profile.index(b"gXYZ", 128)
    profile[at_red : at_red + 4], profile[at_green : at_green + 4] = b"gXYZ", b"rXYZ"
    data = encoded(Image.new("RGB", (32, 32), (220, 30, 30)), icc_profile=bytes(profile))
    red, green, blue = pixels(clean_image(data).content)[0, 0]
    assert green > 200
    assert red < 60
    assert blue < 60


def test_an_unusable_profile_counts_as_srgb():
    data = encoded(Image.new("RGB", (32, 32), (220, 30, 30)), icc_profile=b"no profile at all")
    assert tuple(pixels(clean_image(data).content)[0, 0]) == (220, 30, 30)


def test_a_phones_double_picture_is_one_photograph():
    first, second = Image.new("RGB", (64, 48), (200, 30, 30)), Image.new("RGB", (32, 24), (30, 200, 30))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    clean = clean_image(buffer.getvalue())
    assert (clean.width, clean.height) == (64, 48)
    assert pixels(clean.content)[0, 0, 0] > 150


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused_whatever_their_name_says(kind):
    assert "JPEG, PNG or WebP" in refusal(encoded(Image.new("RGB", (32, 32)), kind))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind):
    frames = [Image.new("RGB", (32, 32), (shade, 0, 0)) for shade in (0, 100, 200)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "animated" in refusal(data)


def test_the_size_is_refused_before_pixels_are_decoded():
    """A header that claims 30,000 × 30,000 pixels with nothing behind it: only the claim can be the reason."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert "far more pixels" in refusal(bomb)
    assert "at most 0.001 million" in refusal(encoded(Image.new("RGB", (64, 48))), max_pixels=1000)
    assert "at least 16" in refusal(encoded(Image.new("RGB", (64, 8))))


def test_a_bomb_of_compressed_text_is_refused():
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "A" * 70_000_000, zip=True)
    assert refusal(encoded(Image.new("RGB", (32, 32)), pnginfo=info))


def test_a_changed_pixel_is_noticed_by_its_checksum():
    """Stored, not compressed: nothing but the chunk's checksum can tell."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), (200, 150, 120)), compress_level=0))
    data[data.index(b"IDAT") + 5_000] ^= 0x7F
    assert "damaged" in refusal(bytes(data))


def mutants() -> dict[str, bytes]:
    """Thirty ways to be broken: cut off, overwritten, with wrong checksums or lengths, or not a picture."""
    jpeg, png = RETINA.read_bytes(), CELL.read_bytes()
    webp = encoded(Image.open(CELL).convert("RGB"), "WEBP")
    found = {}
    for name, data in (("jpeg", jpeg), ("png", png), ("webp", webp)):
        for share in (0.001, 0.1, 0.5, 0.9):
            found[f"{name} cut at {share:.1%}"] = data[: int(len(data) * share)]
        found[f"{name} without its first bytes"] = data[4:]
        found[f"{name} with a zeroed header"] = data[:4] + bytes(60) + data[64:]
    rng = random.Random(11)
    for number in range(5):
        at = rng.randrange(2_000, len(png) - 100)
        found[f"png with byte {number} flipped"] = png[:at] + bytes([png[at] ^ 0x55]) + png[at + 1 :]
    found |= {
        "empty": b"",
        "one byte": b"\xff",
        "text": b"patient,diagnosis\n1,melanoma\n",
        "html": b"<html><script>alert(1)</script></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
        "png signature only": png[:8],
        "noise": rng.randbytes(5_000),
    }
    return found


MUTANTS = mutants()


def test_there_are_thirty_mutants():
    assert len(MUTANTS) == 30


@pytest.mark.parametrize("name", MUTANTS)
def test_a_damaged_file_is_refused_with_a_reason(name):
    reason = refusal(MUTANTS[name])
    assert reason.startswith("it ")
    assert "Error" not in reason


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_refused_or_comes_out_clean(seed):
    """Damage that a decoder cannot notice may pass; nothing else may be raised and nothing may leak."""
    rng = random.Random(seed)
    data = bytearray(
        rng.choice([planted_webp(), planted_png()[:200_000], encoded(Image.open(CELL).convert("RGB"), "JPEG")])
    )
    for _ in range(rng.randrange(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        clean = clean_image(bytes(data))
    except ImageRefused as refused:
        assert str(refused).startswith("it ")
    else:
        assert not any(marker in clean.content for marker in MARKERS.values())
