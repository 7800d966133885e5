"""scikit-image's CC0 medical photographs, and everything planted in them that must not come out."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import skimage
from PIL import Image, ImageCms, PngImagePlugin

FOLDER = Path(skimage.__file__).parent / "data"
RETINA = FOLDER / "retina.jpg"
CELL = FOLDER / "cell.png"
MARKERS = {
    "EXIF": b"EXIFMARKERJaneDoe",
    "GPS": b"GPSMARKERDatum",
    "XMP": b"XMPMARKERJaneDoe",
    "IPTC": b"IPTCMARKERHospital",
    "JPEG comment": b"COMMENTMARKER",
    "PNG text": b"TEXTMARKER",
    "PNG compressed text": b"ZTXTMARKER",
    "trailing bytes": b"TRAILINGMARKER",
    "ICC": b"ICCMARKERProfile",
}
STRUCTURES = (
    b"Exif\0\0",
    b"ns.adobe.com",
    b"Photoshop 3.0",
    b"ICC_PROFILE",
    b"eXIf",
    b"tEXt",
    b"iTXt",
    b"zTXt",
    b"iCCP",
)


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x013B] = MARKERS["EXIF"].decode()  # artist
    tags.get_ifd(0x8825).update(
        {1: "N", 2: (59.0, 54.0, 3.0), 3: "E", 4: (10.0, 44.0, 1.0), 18: MARKERS["GPS"].decode()}
    )
    return tags


def icc() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile + MARKERS["ICC"]


def planted_jpeg(orientation: int = 1) -> bytes:
    """The retina photograph with EXIF, GPS, XMP, IPTC, a comment, a profile and trailing bytes."""
    buffer = io.BytesIO()
    with Image.open(RETINA) as image:
        image.save(
            buffer,
            "JPEG",
            quality=90,
            exif=exif(orientation),
            xmp=b"<x:xmpmeta>" + MARKERS["XMP"] + b"</x:xmpmeta>",
            comment=MARKERS["JPEG comment"],
            icc_profile=icc(),
        )
    name = MARKERS["IPTC"]
    record = b"\x1c\x02\x5a" + struct.pack(">H", len(name)) + name
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    body = b"Photoshop 3.0\0" + resource
    data = buffer.getvalue()
    app13 = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    return data[:2] + app13 + data[2:] + MARKERS["trailing bytes"]


def planted_png() -> bytes:
    """The cell photograph with EXIF, GPS, XMP, text chunks, a profile and trailing bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", MARKERS["PNG text"].decode())
    text.add_text("Comment", MARKERS["PNG compressed text"].decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", MARKERS["XMP"].decode())
    buffer = io.BytesIO()
    with Image.open(CELL) as image:
        image.save(buffer, "PNG", pnginfo=text, exif=exif(), icc_profile=icc())
    return buffer.getvalue() + MARKERS["trailing bytes"]


def planted_webp() -> bytes:
    buffer = io.BytesIO()
    with Image.open(RETINA) as image:
        image.resize((300, 300)).save(buffer, "WEBP", exif=exif(), xmp=MARKERS["XMP"], icc_profile=icc())
    return buffer.getvalue() + MARKERS["trailing bytes"]


def readable(data: bytes) -> bytes:
    """The bytes, and behind them everything in them that inflates: compressed text hides from a plain search."""
    parts, start = [data], 0
    while (start := data.find(b"\x78", start)) >= 0:
        with contextlib.suppress(zlib.error):
            parts.append(zlib.decompressobj().decompress(data[start:], 100_000))
        start += 1
    return b"".join(parts)
