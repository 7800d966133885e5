"""DermCoT in the reference trainer's schema, and teacher features beside its images: read, checked, hashed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelhub.ml.checkpoint_files import hash_file
from modelhub.ml.processor import IMAGE_MARK, Message

RECORDS_FILE = "train.jsonl"
TEACHER_MANIFEST = "teacher_features.json"
ROLES = ("system", "user", "assistant")
SKIN_LABELS = (0, 1, 2)


class DatasetError(ValueError):
    """A data set that cannot be trained on; the message names line and reason."""


@dataclass(frozen=True)
class TrainRecord:
    """`line` in the file, from 1. `context`: the turns before the answer. `skin_label`: 0 light, 1 medium, 2 dark, None
    unknown."""

    line: int
    context: tuple[Message, ...]
    answer: str
    images: tuple[Path, ...]
    skin_label: int | None


def read_records(folder: Path) -> list[TrainRecord]:
    """Every record of `train.jsonl`. Raises DatasetError."""
    path = folder / RECORDS_FILE
    if not path.exists():
        raise DatasetError(f"{path} does not exist: a data set folder holds {RECORDS_FILE} and its images")
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [read_record(folder, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not records:
        raise DatasetError(f"{path} holds no record")
    return records


def read_record(folder: Path, number: int, line: str) -> TrainRecord:
    where = f"{RECORDS_FILE}, line {number}"
    try:
        raw = json.loads(line)
        messages = [Message(str(m["role"]), str(m["content"])) for m in raw["messages"]]
        images = tuple(resolve_image(folder, name) for name in raw.get("images") or [])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{where}: {error!s} ({type(error).__name__})") from error
    if len(messages) < 2 or messages[-1].role != "assistant" or any(m.role not in ROLES for m in messages):
        raise DatasetError(f"{where}: messages must be user (or system) turns and end with the assistant")
    if not messages[-1].text.strip():
        raise DatasetError(f"{where}: the answer is empty")
    marks = sum(m.text.count(IMAGE_MARK) for m in messages[:-1])
    if marks not in (0, len(images)) or IMAGE_MARK in messages[-1].text:
        raise DatasetError(f"{where}: {marks} {IMAGE_MARK} marks for {len(images)} images")
    label = raw.get("skin_labels")
    if label is not None and (isinstance(label, bool) or label not in SKIN_LABELS):
        raise DatasetError(f"{where}: skin_labels must be 0, 1, 2 or missing, it is {label!r}")
    return TrainRecord(number, tuple(messages[:-1]), messages[-1].text, images, label)


def resolve_image(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"image {name} lies outside the data set")
    if not path.is_file():
        raise ValueError(f"image {name} does not exist")
    return path


def hash_dataset(folder: Path, records: Sequence[TrainRecord]) -> str:
    """SHA-256 over the records file and the content of every image and of its teacher features, in order."""
    digest = hashlib.sha256(hash_file(folder / RECORDS_FILE).encode())
    for record in records:
        for image in record.images:
            digest.update(hash_file(image).encode())
            if teacher_file(image).exists():
                digest.update(b"teacher" + hash_file(teacher_file(image)).encode())
    return digest.hexdigest()


def teacher_file(image: Path) -> Path:
    return image.with_name(image.name + ".npy")


def find_teacher_width(records: Sequence[TrainRecord]) -> int | None:
    """How wide the features beside the images are, by the first that is there; None where there are none."""
    images = (image for record in records for image in record.images)
    first = next((image for image in images if teacher_file(image).exists()), None)
    return None if first is None else load_features(teacher_file(first)).size


def read_teacher(image: Path, width: int) -> Tensor | None:
    """Teacher features `<image path>.npy`, [width] float32; None where there is no such file.

    Raises DatasetError for a broken one: it is never taken for a missing one.
    """
    path = teacher_file(image)
    if not path.exists():
        return None
    values = load_features(path)
    if values.size != width or not np.isfinite(values).all():
        way_out = ", as the side branch was made for: start from a model without one, or use its teacher"
        raise DatasetError(
            f"{path.name} must hold {width} finite numbers{way_out if values.size != width else ''}; "
            f"its shape is {list(values.shape)}"
        )
    return torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(-1))


def read_teacher_encoder(folder: Path) -> dict[str, Any] | None:
    """What made the features, as `make-teacher-features` recorded it; None where something else made them."""
    path = folder / TEACHER_MANIFEST
    if not path.exists():
        return None
    try:
        encoder: dict[str, Any] = json.loads(path.read_text())["encoder"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: make the teacher features again with --replace") from error
    return encoder


def load_features(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path.name} is not a readable .npy file: {error}") from error
    return values
