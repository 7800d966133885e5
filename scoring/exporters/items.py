"""What of a dataset may be written for a purpose, and under which file names."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scoring.digest import content_hash
from scoring.models import CaseImage, DatasetItem, DatasetVersion, LabelledCase, Source, Split
from scoring.services.datasets import dataset_items
from scoring.services.labelled import labelled_items

TRAINING, RELEASE = "training", "release"
PURPOSES = (TRAINING, RELEASE)
IMAGE_FOLDER = "images"
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class ExportError(ValueError):
    """An export that was refused; the message says what to do."""


@dataclass(frozen=True)
class Exclusion:
    """A case left out of an export, by public id, and the reason in words."""

    case: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"case": self.case, "reason": self.reason}


@dataclass(frozen=True)
class ImageEntry:
    """One image of one case: its path in the export and whether the file itself travels."""

    image: CaseImage
    path: str
    sha256: str
    embedded: bool
    source: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "sha256": self.sha256,
            "original_sha256": self.image.original_sha256,
            "width": self.image.width,
            "height": self.image.height,
            "source": self.source,
            "included": self.embedded,
        }


def refusal(item: DatasetItem | LabelledCase, purpose: str) -> str | None:
    """Why this item may not be written for ``purpose`` under its source's rights of today, or ``None``."""
    case, source = item.case, item.case.source
    if purpose == TRAINING and case.group.split != Split.TRAINING:
        return "is an evaluation case, which training never reads"
    if purpose == TRAINING and not source.may_train:
        return f"the source “{source.name}” does not allow training"
    if purpose == RELEASE and source.redistribute == Source.Redistribute.BLOCK:
        return f"the source “{source.name}” does not allow redistribution"
    return None


def released_cases(dataset: DatasetVersion) -> frozenset[str]:
    """Public ids of the cases that a release of ``dataset`` contains.

    Raises :class:`ExportError` when a text or record is not what was frozen.
    """
    if dataset.kind == DatasetVersion.Kind.LABELLED:
        return frozenset(item.record["case"] for item in permitted_labelled(dataset, []))
    return frozenset(item.record["case"] for item in permitted(dataset, RELEASE, []))


def permitted(
    dataset: DatasetVersion, purpose: str, excluded: list[Exclusion], *, ratings: bool = False
) -> Iterator[DatasetItem]:
    """The items that may be written, in order, with ``ratings`` where asked; what may not is appended to ``excluded``.

    Raises :class:`ExportError` for an unknown purpose and for a text that is not what was frozen.
    """
    if purpose not in PURPOSES:
        raise ExportError(f"An export is for {' or '.join(PURPOSES)}, not for “{purpose}”.")
    for item in dataset_items(dataset, ratings=ratings):
        if item.version.sha256 != item.record["text_sha256"]:
            raise ExportError(f"Item {item.position} of {dataset} is not the text that was frozen. Verify the dataset.")
        reason = refusal(item, purpose)
        if reason is None:
            yield item
        else:
            excluded.append(Exclusion(item.record["case"], reason))


def permitted_labelled(dataset: DatasetVersion, excluded: list[Exclusion]) -> list[LabelledCase]:
    """The labelled cases that a release may contain, in order; what may not is appended to ``excluded``.

    Raises :class:`ExportError` when the records are not what was frozen.
    """
    items = labelled_items(dataset)
    if content_hash([item.record for item in items]) != dataset.content_hash:
        raise ExportError(f"The records of {dataset} are not what was frozen. Restore them from a backup.")
    refused = [(item, refusal(item, RELEASE)) for item in items]
    excluded += [Exclusion(item.record["case"], reason) for item, reason in refused if reason is not None]
    return [item for item, reason in refused if reason is None]


def image_entries(item: DatasetItem | LabelledCase, purpose: str, *, include_images: bool = True) -> list[ImageEntry]:
    """The frozen images of an item in their order. Raises :class:`ExportError` when one is gone."""
    case = item.case
    stored = {str(image.public_id): image for image in case.images.all()}
    embedded = include_images and (purpose == TRAINING or case.source.redistribute == Source.Redistribute.EMBED)
    entries = []
    for frozen in item.record["images"]:
        image = stored.get(frozen["image"])
        if image is None:
            raise ExportError(f"An image of case {case.code} is no longer stored. Restore it before exporting.")
        path = f"{IMAGE_FOLDER}/{image.public_id.hex}.{EXTENSIONS.get(image.media_type, 'bin')}"
        entries.append(ImageEntry(image, path, frozen["sha256"], embedded, case.source.name))
    return entries


def read_image(entry: ImageEntry) -> Iterator[bytes]:
    """The image's bytes in pieces. Raises :class:`ExportError` when they are not those frozen."""
    digest = hashlib.sha256()
    try:
        with entry.image.file.open("rb") as stream:
            for chunk in stream.chunks():
                digest.update(chunk)
                yield chunk
    except OSError as error:
        raise ExportError(f"The file of image {entry.path} cannot be read. Restore it before exporting.") from error
    if digest.hexdigest() != entry.sha256:
        raise ExportError(f"The file of image {entry.path} has changed since it was frozen. Restore it from a backup.")
