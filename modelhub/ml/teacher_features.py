"""Teacher features of a data set: one vector per image, computed once per image content and encoder.

They land where training reads them, `<image>.npy` (float32 [width]) beside each image. What was computed is kept in a
store by encoder key and image hash, so the same image is never encoded twice by the same encoder, in whatever data set
it comes back, and a run that was killed goes on where it stopped. `teacher_features.json` says what made them.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from modelhub.ml.checkpoint_files import hash_file
from modelhub.ml.processor import open_image
from modelhub.ml.teacher_encoder import Encoder, EncoderIdentity
from modelhub.ml.train_checkpoint import write_json
from modelhub.ml.train_data import TEACHER_MANIFEST, DatasetError, TrainRecord, read_records, teacher_file

STORE_FOLDER = ".teacher_features"
LISTED = 8


class ImageEncoder(Protocol):
    """What `make_teacher_features` needs of an encoder."""

    identity: EncoderIdentity

    def encode(self, images: Sequence[Image.Image]) -> Any: ...


@dataclass
class FeatureReport:
    """Counts of distinct image files: `images` = `computed` + `stored` + missing. `computed` went through the encoder
    now (a second file with the same content does not), `stored` did not need to. `missing`: reason by image."""

    encoder: EncoderIdentity
    width: int | None
    images: int
    computed: int = 0
    stored: int = 0
    missing: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"present": self.images - len(self.missing)}


def make_teacher_features(
    data: Path,
    encoder: Encoder | ImageEncoder,
    *,
    store: Path | None = None,
    batch: int = 16,
    replace: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> FeatureReport:
    """Features for every image that `data/train.jsonl` names; an image that cannot be read is listed as missing.

    `store`: folder shared by data sets (default `data/.teacher_features`). Features that this command did not write are
    left alone, unless `replace`. `on_progress` gets images done and images in all.
    Raises DatasetError for an unreadable data set or foreign features, ValueError where the encoder gives NaN.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, it is {batch}")
    images = distinct_images(read_records(data))
    if not images:
        raise DatasetError(f"{data} names no image, so there is nothing to make features of")
    place = FeatureStore((store or data / STORE_FOLDER) / encoder.identity.key)
    hashes = {image: hash_file(image) for image in images}
    if not replace:
        refuse_foreign(data, images, hashes, place)
    report = FeatureReport(encoder.identity, None, len(images))
    waiting = first_of_each([image for image in images if place.read(hashes[image]) is None], hashes)
    for group in grouped(waiting, batch):
        encode_group(encoder, group, hashes, place, report)
        if on_progress:
            on_progress(len(images) - len(waiting) + report.computed + len(report.missing), len(images))
    hand_out(data, images, hashes, place, report)
    return report


def distinct_images(records: Sequence[TrainRecord]) -> list[Path]:
    return list(dict.fromkeys(image for record in records for image in record.images))


def first_of_each(images: Sequence[Path], hashes: dict[Path, str]) -> list[Path]:
    """One file per content, the first."""
    return list({hashes[image]: image for image in reversed(images)}.values())[::-1]


def grouped(images: Sequence[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(images)
    while group := list(islice(rest, size)):
        yield group


def encode_group(
    encoder: Encoder | ImageEncoder,
    group: Sequence[Path],
    hashes: dict[Path, str],
    place: "FeatureStore",
    report: FeatureReport,
) -> None:
    opened = []
    for image in group:
        try:
            opened.append((image, open_image(image)))
        except OSError as error:
            report.missing[str(image)] = str(error)
    if not opened:
        return
    features = np.asarray(encoder.encode([picture for _, picture in opened]), dtype=np.float32)
    if features.ndim != 2 or len(features) != len(opened) or not np.isfinite(features).all():
        names = ", ".join(image.name for image, _ in opened[:LISTED])
        raise ValueError(f"the encoder gave no finite vector for each of {names} (shape {list(features.shape)})")
    for (image, _), vector in zip(opened, features, strict=True):
        place.write(hashes[image], vector)
        report.computed += 1


def hand_out(
    data: Path, images: Sequence[Path], hashes: dict[Path, str], place: "FeatureStore", report: FeatureReport
) -> None:
    """`<image>.npy` beside every image that has features, none beside the others; then the manifest."""
    reasons = {hashes[Path(image)]: reason for image, reason in report.missing.items()}
    report.missing = {}
    listed: dict[str, Any] = {}
    for image in images:
        name = str(image.relative_to(data.resolve()))
        vector = place.read(hashes[image])
        if vector is None:
            report.missing[name] = reasons[hashes[image]]
            teacher_file(image).unlink(missing_ok=True)
            continue
        report.width = len(vector)
        content = to_bytes(vector)
        if not teacher_file(image).exists() or teacher_file(image).read_bytes() != content:
            write_bytes(teacher_file(image), content)
        listed[name] = {"image_sha256": hashes[image], "features_sha256": hash_file(teacher_file(image))}
    report.stored = len(images) - report.computed - len(report.missing)
    described = {"encoder": asdict(report.encoder), "encoder_key": report.encoder.key, "width": report.width}
    write_json(data / TEACHER_MANIFEST, described | {"images": listed, "missing": report.missing})


def refuse_foreign(data: Path, images: Sequence[Path], hashes: dict[Path, str], place: "FeatureStore") -> None:
    """Raises DatasetError where features lie beside an image that neither the manifest nor the store explains."""
    manifest = data / TEACHER_MANIFEST
    try:
        ours = json.loads(manifest.read_text())["images"] if manifest.exists() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{manifest} is damaged: delete it, or run again with --replace") from error
    known = {entry["features_sha256"] for entry in ours.values()}
    foreign = []
    for image in images:
        beside = teacher_file(image)
        if beside.exists() and hash_file(beside) not in known:
            vector = place.read(hashes[image])
            if vector is None or beside.read_bytes() != to_bytes(vector):
                foreign.append(beside.name)
    if foreign:
        more = f" and {len(foreign) - LISTED} more" if len(foreign) > LISTED else ""
        raise DatasetError(
            f"{', '.join(foreign[:LISTED])}{more} were made by something else: "
            "keep them and train as they are, or run again with --replace"
        )


class FeatureStore:
    """`<image sha256>.npy` in one folder per encoder key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def read(self, sha256: str) -> np.ndarray | None:
        """The vector, or None where it is not there whole (it is then computed again)."""
        try:
            vector = np.load(self.folder / f"{sha256}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = vector.ndim == 1 and vector.dtype == np.float32 and bool(np.isfinite(vector).all())
        return vector if whole and vector.size else None

    def write(self, sha256: str, vector: np.ndarray) -> None:
        write_bytes(self.folder / f"{sha256}.npy", to_bytes(vector))


def to_bytes(vector: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, vector, allow_pickle=False)
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
