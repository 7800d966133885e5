"""A classification version as one ZIP: cases with their labels, images by right, manifest, checksums, data card."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, BinaryIO

from scoring.exporters.archive import (
    ArchiveReport,
    ExtraFile,
    add_images,
    add_lists,
    closed,
    dataset_identity,
)
from scoring.exporters.items import RELEASE, ExportError, image_entries, permitted_labelled
from scoring.exporters.labelled_card import labelled_card
from scoring.exporters.messages import json_line
from scoring.exporters.zip_stream import ZipStream
from scoring.models import DatasetVersion, LabelledCase


def write_labelled(
    dataset: DatasetVersion, fileobj: BinaryIO, *, extra_files: Iterable[ExtraFile] = ()
) -> ArchiveReport:
    """Write the release of a classification version to ``fileobj`` (only written to, never read or rewound).

    ``classification.jsonl`` (a case a line: label, tone, images), ``records.jsonl`` (what the content hash covers),
    ``images.jsonl`` and ``images/`` by the source's right, then ``extra_files``, ``manifest.json``, ``README.md``,
    ``SHA256SUMS``. Twice exported, the same version gives the same bytes. Raises :class:`ExportError` when every case
    is blocked or what is stored is not what was frozen; nothing valid is left in ``fileobj`` then.
    """
    report = ArchiveReport()
    items = permitted_labelled(dataset, report.excluded)
    if not items:
        raise ExportError(f"Every case of {dataset} is blocked from export by its source.")
    report.records = len(items)
    images = [entry for item in items for entry in image_entries(item, RELEASE)]
    with ZipStream(fileobj) as archive:
        archive.add("classification.jsonl", (json_line(label_record(item)).encode() for item in items))
        archive.add("records.jsonl", (json_line(item.record).encode() for item in items))
        add_images(archive, lambda: iter(images), report)
        for name, content in extra_files:
            archive.add(name, content)
        manifest = _manifest(dataset, items, report, archive.sums)
        add_lists(archive, manifest, labelled_card(manifest))
    return closed(report, archive)


def label_record(item: LabelledCase) -> dict[str, Any]:
    """One case as it was frozen, with the paths of its images in the archive; ``null`` where nothing is recorded."""
    record = item.record
    return {
        "id": record["case"],
        "source": record["source"],
        "split": record["split"],
        "label": record["diagnosis"],
        "label_basis": record["diagnosis_basis"] or None,
        "skin_tone": record["skin_tone"],
        "skin_tone_scale": record["skin_tone_scale"],
        "images": [entry.path for entry in image_entries(item, RELEASE)],
    }


def _manifest(
    dataset: DatasetVersion, items: list[LabelledCase], report: ArchiveReport, sums: dict[str, str]
) -> dict[str, Any]:
    records = [item.record for item in items]
    tones = Counter((record["skin_tone_scale"] or "", record["skin_tone"] or "") for record in records)
    sources = {item.case.source.name: item.case.source for item in items}
    return {
        **dataset_identity(dataset),
        "study": {"id": str(dataset.study.public_id)},
        "counts": {
            "records": report.records,
            "images_included": report.images,
            "images_by_reference": report.images_by_reference,
            "excluded": len(report.excluded),
        },
        "labels": dict(sorted(Counter(item.label for item in items).items())),
        "splits": dict(sorted(Counter(record["split"] for record in records).items())),
        "skin_tones": [
            {"scale": scale or None, "tone": tone or None, "records": count}
            for (scale, tone), count in sorted(tones.items())
        ],
        "sources": {
            name: {"licence": source.licence, "redistribute": source.redistribute}
            for name, source in sorted(sources.items())
        },
        "excluded": [exclusion.as_dict() for exclusion in report.excluded],
        "files": dict(sorted(sums.items())),
    }
