"""A dataset version as one ZIP: data, ratings, images by right, manifest, checksums, data card."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from scoring.exporters.data_card import data_card
from scoring.exporters.items import (
    RELEASE,
    Exclusion,
    ExportError,
    ImageEntry,
    image_entries,
    permitted,
    read_image,
)
from scoring.exporters.messages import DEFAULT_PROMPT, check_prompt, json_line, message_record, skin_label
from scoring.exporters.step_labels import step_label_lines
from scoring.exporters.zip_stream import ZipStream
from scoring.key_lists import in_parts
from scoring.models import DatasetItem, DatasetVersion, OwnDiagnosis, Rating
from scoring.pseudonym import pseudonym
from scoring.services.datasets import CERTIFIED, FILTERED, PUBLISHED

DATA_FILES = {
    DatasetVersion.Kind.DERMCOT: "train.jsonl",
    DatasetVersion.Kind.FILTERED: "train.jsonl",
    DatasetVersion.Kind.DERMBENCH: "dermbench.jsonl",
}
ExtraFile = tuple[str, bytes | Iterable[bytes]]


@dataclass
class ArchiveReport:
    """What went into the archive; ``size`` in bytes, ``sha256`` of the whole file."""

    records: int = 0
    ratings: int = 0
    images: int = 0
    images_by_reference: int = 0
    excluded: list[Exclusion] = field(default_factory=list)
    files: int = 0
    size: int = 0
    sha256: str = ""


@dataclass
class _Tally:
    """What the manifest says, gathered while the rows stream by; small however many rows there are."""

    report: ArchiveReport = field(default_factory=ArchiveReport)
    raters: set[str] = field(default_factory=set)
    simulated: int = 0
    adjudicated: int = 0
    rubrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    protocols: set[str] = field(default_factory=set)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    tones: Counter[tuple[str, str]] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    conditioning: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)


def write_archive(
    dataset: DatasetVersion,
    fileobj: BinaryIO,
    *,
    prompt: str = DEFAULT_PROMPT,
    extra_files: Iterable[ExtraFile] = (),
) -> ArchiveReport:
    """Write the release of ``dataset`` to ``fileobj`` (only written to, never read or rewound).

    DermCoT: ``train.jsonl`` in the reference trainer's schema. DermBench: ``dermbench.jsonl`` in
    the published layout. Both: ``records.jsonl`` (provenance, what the content hash covers),
    ``ratings.jsonl`` and ``step_labels.jsonl`` (pseudonymous, without comments), ``images.jsonl`` and ``images/`` by
    each source's right, ``rubric.json``, ``manifest.json``, ``README.md``, ``SHA256SUMS``.
    ``extra_files``: ``(name, bytes or pieces)``, written after the data, listed in the manifest.
    Twice exported, the same dataset gives the same bytes. Raises :class:`ExportError` when every
    case is blocked or a stored file is not what was frozen; nothing valid is left in ``fileobj`` then.
    """
    check_prompt(prompt)
    tally = _Tally()
    with ZipStream(fileobj) as archive:
        archive.add(DATA_FILES[DatasetVersion.Kind(dataset.kind)], _data_lines(dataset, prompt, tally))
        if not tally.report.records:
            raise ExportError(f"Every case of {dataset} is blocked from export by its source.")
        archive.add("records.jsonl", _provenance_lines(dataset))
        archive.add("ratings.jsonl", _rating_lines(dataset, tally))
        archive.add("step_labels.jsonl", step_label_lines(dataset))
        add_images(archive, lambda: _images(dataset), tally.report)
        for name, content in extra_files:
            archive.add(name, content)
        archive.add("rubric.json", _pretty(tally.rubrics))
        manifest = _manifest(dataset, tally, prompt, archive.sums)
        add_lists(archive, manifest, data_card(dataset, manifest))
    return closed(tally.report, archive)


def add_images(archive: ZipStream, images: Callable[[], Iterator[ImageEntry]], report: ArchiveReport) -> None:
    """``images.jsonl``, and the files of those that may travel; ``images`` is gone through twice."""
    archive.add("images.jsonl", _image_lines(images(), report))
    for entry in images():
        if entry.embedded:
            archive.add(entry.path, read_image(entry))


def add_lists(archive: ZipStream, manifest: dict[str, Any], card: str) -> None:
    """What lists the other files: the manifest, the README, the checksums."""
    archive.add("manifest.json", _pretty(manifest))
    archive.add("README.md", card.encode())
    archive.add("SHA256SUMS", "".join(f"{h}  {n}\n" for n, h in sorted(archive.sums.items())).encode())


def closed(report: ArchiveReport, archive: ZipStream) -> ArchiveReport:
    """The report with the size and checksum of the closed archive."""
    report.files, report.size, report.sha256 = len(archive.sums), archive.size, archive.sha256
    return report


def dataset_identity(dataset: DatasetVersion) -> dict[str, Any]:
    """How every manifest begins: which version it is, and when it was frozen."""
    return {
        "dataset": str(dataset),
        "id": str(dataset.public_id),
        "kind": dataset.kind,
        "number": dataset.number,
        "content_hash": dataset.content_hash,
        "frozen_at": dataset.created_at.isoformat(),
        "frozen_items": dataset.item_count,
        "rule": {"words": dataset.rule, "content_hash": dataset.rule_hash} if dataset.rule else None,
    }


def reference_record(item: DatasetItem, entries: list[ImageEntry]) -> dict[str, Any]:
    """One line of DermBench's published layout; ``category`` is unknown here, so ``null``."""
    record = item.record
    return {
        "id": record["case"],
        "source": record["source"]["name"],
        "split": record["split"],
        "category": None,
        "diagnosis": record["diagnosis"],
        "dermnet_image_path": entries[0].path if entries else None,
        "images": [entry.path for entry in entries],
        "cot": item.version.text,
        "cot_sha256": record["text_sha256"],
    }


def rating_record(item: DatasetItem, rating: Rating, own: OwnDiagnosis | None = None) -> dict[str, Any]:
    """One rating under the rater's pseudonym; scores 0 to 5, ``null`` where she could not judge.

    ``own``: her own diagnosis of the case from before she saw the text, where the study asked for it.
    """
    scores = sorted(rating.scores.all(), key=lambda score: score.dimension)
    return {
        "rating": str(rating.public_id),
        "case": item.record["case"],
        "version": item.record["version"],
        "rater": pseudonym(item.dataset.study.public_id, rating.rater.public_id),
        "rubric": rating.rubric.content_hash,
        "informed": rating.informed,
        "simulated": rating.simulated,
        "scores": {score.dimension: score.value for score in scores},
        "cannot_judge": {score.dimension: score.cannot_judge for score in scores if score.cannot_judge},
        "own_diagnosis": own and {name: getattr(own, name) for name in ("diagnosis", "confidence", "informed")},
    }


def _own_diagnoses(dataset: DatasetVersion, items: list[DatasetItem]) -> dict[tuple[int, int], OwnDiagnosis]:
    """By case and rater (keys): what she held it to be before she saw any text, as things stood at the freeze."""
    cases = {item.version.narrative.case_id for item in items}
    frozen = OwnDiagnosis.objects.filter(study=dataset.study_id, created_at__lte=dataset.created_at, case__in=cases)
    return {(one.case_id, one.rater_id): one for one in frozen}


def _data_lines(dataset: DatasetVersion, prompt: str, tally: _Tally) -> Iterator[bytes]:
    for item in permitted(dataset, RELEASE, tally.report.excluded):
        entries = image_entries(item, RELEASE)
        _count_item(tally, item)
        if dataset.kind != DatasetVersion.Kind.DERMBENCH:
            yield json_line(message_record(item, entries, prompt)).encode()
        else:
            yield json_line(reference_record(item, entries)).encode()


def _count_item(tally: _Tally, item: DatasetItem) -> None:
    record, source = item.record, item.version.narrative.case.source
    tally.report.records += 1
    if item.certification is not None:
        tally.adjudicated += record["adjudicated"]
        tally.policies[record["policy"]] = item.certification.policy.settings
    tally.protocols.add(record["protocol"])
    tally.sources[source.name] = {"licence": source.licence, "redistribute": source.redistribute}
    tally.tones[(record["skin_tone_scale"] or "", record["skin_tone"] or "")] += 1
    tally.languages[record["language"]] += 1
    tally.conditioning[record["conditioning"] or "not known"] += 1
    label = skin_label(item)
    tally.labels["unknown" if label is None else str(label)] += 1


def _provenance_lines(dataset: DatasetVersion) -> Iterator[bytes]:
    for item in permitted(dataset, RELEASE, []):
        yield json_line(item.record).encode()


def _rating_lines(dataset: DatasetVersion, tally: _Tally) -> Iterator[bytes]:
    for items in in_parts(permitted(dataset, RELEASE, [], ratings=True)):
        own = _own_diagnoses(dataset, items)
        for item in items:
            item.dataset, case = dataset, item.version.narrative.case_id
            ratings = item.certification.ratings.all() if item.certification else []
            for rating in sorted(ratings, key=lambda r: str(r.public_id)):
                record = rating_record(item, rating, own.get((case, rating.rater_id)))
                tally.report.ratings += 1
                tally.simulated += rating.simulated
                tally.raters.add(record["rater"])
                tally.rubrics[rating.rubric.content_hash] = rating.rubric.content
                yield json_line(record).encode()


def _image_lines(images: Iterator[ImageEntry], report: ArchiveReport) -> Iterator[bytes]:
    for entry in images:
        if entry.embedded:
            report.images += 1
        else:
            report.images_by_reference += 1
        yield json_line(entry.as_dict()).encode()


def _images(dataset: DatasetVersion) -> Iterator[ImageEntry]:
    """Each image once, in the items' order; items of one case stand together."""
    case, seen = "", set[str]()
    for item in permitted(dataset, RELEASE, []):
        if item.record["case"] != case:
            case, seen = item.record["case"], set()
        for entry in image_entries(item, RELEASE):
            if entry.path not in seen:
                seen.add(entry.path)
                yield entry


def _part(dataset: DatasetVersion) -> str:
    if dataset.kind == DatasetVersion.Kind.FILTERED:
        return FILTERED
    return PUBLISHED if dataset.rule else CERTIFIED


def _manifest(dataset: DatasetVersion, tally: _Tally, prompt: str, sums: dict[str, str]) -> dict[str, Any]:
    report = tally.report
    return {
        **dataset_identity(dataset),
        "study": {"id": str(dataset.study.public_id), "protocol_hashes": sorted(tally.protocols)},
        "rubrics": sorted(tally.rubrics),
        "policies": [{"content_hash": key, "settings": tally.policies[key]} for key in sorted(tally.policies)],
        "part": _part(dataset),
        "excluded_references": [
            {
                "case": str(one.version.narrative.case.public_id),
                "version": str(one.version.public_id),
                "flags": one.kinds,
                "reason": one.reason,
                "by": pseudonym(dataset.study.public_id, one.excluded_by.public_id),
            }
            for one in dataset.exclusions.select_related("version__narrative__case", "excluded_by").order_by("pk")
        ],
        "prompt": prompt if dataset.kind != DatasetVersion.Kind.DERMBENCH else None,
        "counts": {
            "records": report.records,
            "adjudicated": tally.adjudicated,
            "ratings": report.ratings,
            "simulated_ratings": tally.simulated,
            "raters": len(tally.raters),
            "images_included": report.images,
            "images_by_reference": report.images_by_reference,
            "excluded": len(report.excluded),
        },
        "languages": dict(sorted(tally.languages.items())),
        "conditioning": dict(sorted(tally.conditioning.items())),
        "skin_tones": [
            {"scale": scale or None, "tone": tone or None, "records": count}
            for (scale, tone), count in sorted(tally.tones.items())
        ],
        "skin_labels": dict(sorted(tally.labels.items())),
        "sources": dict(sorted(tally.sources.items())),
        "excluded": [exclusion.as_dict() for exclusion in report.excluded],
        "files": dict(sorted(sums.items())),
    }


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
