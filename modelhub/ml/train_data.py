"""DermCoT in the reference trainer's schema: read, checked, hashed, encoded, batched."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelhub.ml.checkpoint_files import hash_file
from modelhub.ml.losses import NO_LABEL
from modelhub.ml.processor import (
    IMAGE_MARK,
    ImageTextProcessor,
    Message,
    count_prompt_tokens,
    encode_answer,
    encode_prompts,
)

RECORDS_FILE = "train.jsonl"
ROLES = ("system", "user", "assistant")
SKIN_LABELS = (0, 1, 2)
CACHE_BYTES = 1 << 30


class DatasetError(ValueError):
    """A data set that cannot be trained on; the message names line and reason."""


@dataclass(frozen=True)
class TrainRecord:
    """`context`: the turns before the answer. `skin_label`: 0 light, 1 medium, 2 dark, None unknown."""

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


def count_teacher_features(records: Sequence[TrainRecord], width: int) -> dict[str, int]:
    """Images with and without teacher features. Raises DatasetError for a broken file."""
    images = [image for record in records for image in record.images]
    missing = sum(read_teacher(image, width) is None for image in images)
    return {"present": len(images) - missing, "missing": missing}


def read_teacher(image: Path, width: int) -> Tensor | None:
    """Teacher features `<image path>.npy`, [width] float32; None where there is no such file.

    Raises DatasetError for a broken one: it is never taken for a missing one.
    """
    path = teacher_file(image)
    if not path.exists():
        return None
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path.name} is not a readable .npy file: {error}") from error
    if values.size != width or not np.isfinite(values).all():
        raise DatasetError(f"{path.name} must hold {width} finite numbers, its shape is {list(values.shape)}")
    return torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(-1))


class Encoder:
    """Records to tensors. Encoded records are kept up to a budget of memory, since every epoch asks again."""

    def __init__(
        self, processor: ImageTextProcessor, end_token_id: int, *, max_length: int, teacher_width: int | None
    ) -> None:
        self.processor = processor
        self.end_token_id = end_token_id
        self.max_length = max_length
        self.teacher_width = teacher_width
        self.kept: dict[int, dict[str, Any]] = {}
        self.bytes_kept = 0

    def check_lengths(self, records: Sequence[TrainRecord]) -> None:
        """Raises DatasetError naming a record of more than `max_length` tokens; no image is decoded for it."""
        for record in records:
            prompt = count_prompt_tokens(self.processor, record.context, record.images)
            length = prompt + len(encode_answer(self.processor, record.answer, self.end_token_id))
            if length > self.max_length:
                where = f"{RECORDS_FILE}, line {record.line}"
                raise DatasetError(f"{where}: {length} tokens, max_length is {self.max_length}")

    def encode(self, record: TrainRecord) -> dict[str, Any]:
        if record.line in self.kept:
            return self.kept[record.line]
        example: dict[str, Any] = encode_prompts(self.processor, [(record.context, record.images)])
        answer = encode_answer(self.processor, record.answer, self.end_token_id)
        example["answer"] = answer
        label = NO_LABEL if record.skin_label is None else record.skin_label
        example["skin_labels"] = torch.full((len(record.images),), label)
        if self.teacher_width:
            example["teacher"] = [read_teacher(image, self.teacher_width) for image in record.images]
        size = sum(v.numel() * v.element_size() for v in example.values() if isinstance(v, Tensor))
        if self.bytes_kept + size <= CACHE_BYTES:
            self.kept[record.line] = example
            self.bytes_kept += size
        return example

    def collate(self, records: Sequence[TrainRecord]) -> dict[str, Tensor]:
        """A right-padded batch: the model's inputs, `scored` [rows, length] (positions that predict an answer token),
        `targets` [scored], `skin_labels` [images], and with a teacher `teacher` [images, width], `teacher_present`."""
        examples = [self.encode(record) for record in records]
        rows, kinds, scored = [], [], []
        for example in examples:
            prompt, answer = example["input_ids"][0], example["answer"]
            rows.append(torch.cat([prompt, answer]))
            kinds.append(
                torch.cat([example["mm_token_type_ids"][0].long(), torch.zeros(len(answer), dtype=torch.long)])
            )
            mark = torch.zeros(len(rows[-1]), dtype=torch.bool)
            mark[len(prompt) - 1 : -1] = True
            scored.append(mark)
        batch = {
            "input_ids": pad(rows, self.end_token_id),
            "attention_mask": pad([torch.ones_like(row) for row in rows], 0),
            "mm_token_type_ids": pad(kinds, 0),
            "scored": pad(scored, False),
            "targets": torch.cat([example["answer"] for example in examples]),
            "skin_labels": torch.cat([example["skin_labels"] for example in examples]),
        }
        pictured = [example for example in examples if "pixel_values" in example]
        if pictured:
            batch["pixel_values"] = torch.cat([example["pixel_values"] for example in pictured])
            batch["image_grid_thw"] = torch.cat([example["image_grid_thw"] for example in pictured])
            if self.teacher_width:
                features = [feature for example in pictured for feature in example["teacher"]]
                blank = torch.zeros(self.teacher_width)
                batch["teacher"] = torch.stack([blank if f is None else f for f in features])
                batch["teacher_present"] = torch.tensor([f is not None for f in features])
        return batch


def pad(rows: Sequence[Tensor], value: int | bool) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def epoch_batches(records: Sequence[TrainRecord], batch: int, *, seed: int, epoch: int) -> Iterator[list[TrainRecord]]:
    """The same order for the same seed and epoch, whatever came before."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(records), generator=generator).tolist()
    for start in range(0, len(order), batch):
        yield [records[i] for i in order[start : start + batch]]
