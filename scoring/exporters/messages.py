"""Datasets in the schema of SkinGPT-R1's reference trainer.

One line per narrative: ``{"messages": [{"role", "content"}, …], "images": [relative path],
"skin_labels": 0 | 1 | 2}``; ``<image>`` marks each image's place.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scoring.exporters.items import (
    IMAGE_FOLDER,
    RELEASE,
    TRAINING,
    Exclusion,
    ExportError,
    ImageEntry,
    image_entries,
    permitted,
    read_image,
)
from scoring.models import DatasetItem, DatasetVersion
from scoring.skin_tone import three_levels

RECORDS_FILE = "train.jsonl"
IMAGES_FILE = "images.jsonl"
IMAGE_MARK = "<image>"
DEFAULT_PROMPT = "Describe the skin lesion step by step, then answer."


@dataclass
class MessagesReport:
    """What was written. ``skin_labels`` counts records per label; the rest had no mappable tone."""

    records: int = 0
    images: int = 0
    images_by_reference: int = 0
    skin_labels: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})
    without_skin_label: int = 0
    excluded: list[Exclusion] = field(default_factory=list)


def write_messages(
    dataset: DatasetVersion,
    folder: Path,
    *,
    purpose: str,
    prompt: str = DEFAULT_PROMPT,
    include_images: bool = True,
) -> MessagesReport:
    """Write ``train.jsonl``, ``images.jsonl`` and the image files into ``folder``.

    ``purpose``: *training*, a local use that needs each source's *may train* and refuses
    evaluation cases; or *release*, where each source's right decides: embed (the file travels),
    reference only (path and checksums in ``images.jsonl``) or block (the case is left out).
    Raises :class:`ExportError` when the dataset may not serve the purpose, nothing is left, the
    prompt holds an image mark, or a file is not what was frozen.
    """
    check_prompt(prompt)
    if purpose == TRAINING and dataset.kind == DatasetVersion.Kind.DERMBENCH:
        raise ExportError(f"{dataset} holds evaluation cases. Training reads DermCoT versions only.")
    report = MessagesReport()
    (folder / IMAGE_FOLDER).mkdir(parents=True, exist_ok=True)
    with (
        (folder / RECORDS_FILE).open("w", encoding="utf-8", newline="\n") as records,
        (folder / IMAGES_FILE).open("w", encoding="utf-8", newline="\n") as listing,
    ):
        listed: set[str] = set()
        for item in permitted(dataset, purpose, report.excluded):
            entries = image_entries(item, purpose, include_images=include_images)
            records.write(json_line(message_record(item, entries, prompt)))
            count_record(report, item)
            for entry in entries:
                if entry.path not in listed:
                    listed.add(entry.path)
                    listing.write(json_line(entry.as_dict()))
                    _write_image(entry, folder, report)
    if not report.records:
        raise ExportError(f"No case of {dataset} may be used for {purpose}: {report.excluded[0].reason}.")
    return report


def check_prompt(prompt: str) -> None:
    """Raises :class:`ExportError` for an empty prompt or one with an image mark of its own."""
    if not prompt.strip():
        raise ExportError("Give the prompt that the records ask.")
    if IMAGE_MARK in prompt:
        raise ExportError(f"Leave {IMAGE_MARK} out of the prompt: the export sets one per image.")


def message_record(item: DatasetItem, entries: list[ImageEntry], prompt: str) -> dict[str, Any]:
    """One training record; ``skin_labels`` only where the tone's scale has a mapping."""
    text = item.version.text
    if IMAGE_MARK in text:
        raise ExportError(
            f"The narrative of item {item.position} contains {IMAGE_MARK}, which trainers read as a picture. "
            "Revise the text and freeze the dataset again."
        )
    record: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": IMAGE_MARK * len(entries) + prompt},
            {"role": "assistant", "content": text},
        ],
        "images": [entry.path for entry in entries],
    }
    label = skin_label(item)
    return record if label is None else record | {"skin_labels": label}


def skin_label(item: DatasetItem) -> int | None:
    """0 light, 1 medium, 2 dark, from the frozen record; ``None`` where it cannot be told."""
    return three_levels(item.record["skin_tone"] or "", item.record["skin_tone_scale"] or "")


def count_record(report: MessagesReport, item: DatasetItem) -> None:
    report.records += 1
    label = skin_label(item)
    if label is None:
        report.without_skin_label += 1
    else:
        report.skin_labels[label] += 1


def record_lines(
    dataset: DatasetVersion, *, purpose: str, prompt: str, report: MessagesReport, include_images: bool = True
) -> Iterator[bytes]:
    """The lines of ``train.jsonl``, counted into ``report`` as they are taken."""
    check_prompt(prompt)
    for item in permitted(dataset, purpose, report.excluded):
        count_record(report, item)
        entries = image_entries(item, purpose, include_images=include_images)
        yield json_line(message_record(item, entries, prompt)).encode()


def json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _write_image(entry: ImageEntry, folder: Path, report: MessagesReport) -> None:
    if not entry.embedded:
        report.images_by_reference += 1
        return
    with (folder / entry.path).open("wb") as target:
        for chunk in read_image(entry):
            target.write(chunk)
    report.images += 1


__all__ = ["DEFAULT_PROMPT", "RELEASE", "TRAINING", "MessagesReport", "write_messages"]
