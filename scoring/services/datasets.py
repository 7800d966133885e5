"""Dataset versions: choosing the certified texts, freezing them, checking them afterwards."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from scoring.digest import content_hash
from scoring.models import Case, CaseFlag, Certification, DatasetItem, DatasetVersion, NarrativeVersion, Split, Study
from scoring.services.audit import record_event
from scoring.services.dataset_rows import BATCH, create_dataset

DERMCOT, DERMBENCH = DatasetVersion.Kind.DERMCOT, DatasetVersion.Kind.DERMBENCH
SPLIT_OF_KIND = {DERMCOT: Split.TRAINING, DERMBENCH: Split.EVALUATION}
CERTIFIED, FILTERED, PUBLISHED = "certified", "filtered", "published"  # the part that an item is in


@dataclass(frozen=True)
class ToneCount:
    """Items per skin tone; ``scale`` and ``tone`` are empty where the tone is unknown."""

    scale: str
    tone: str
    count: int


@dataclass(frozen=True)
class DatasetPreview:
    """What freezing now would take, and what it would leave out.

    ``blocked``: items whose source lets no case travel in an export. ``may_not_train``: items
    that training would leave out. ``held_by_flag``: certified texts of cases with an open flag.
    ``previous``: the last dataset of this kind and study.
    """

    items: int
    cases: int
    diagnoses: tuple[tuple[str, int], ...]
    tones: tuple[ToneCount, ...]
    blocked: int
    may_not_train: int
    held_by_flag: int
    previous: DatasetVersion | None


@dataclass(frozen=True)
class DatasetCheck:
    """``problems`` in words; none when texts, images and records are what was frozen."""

    computed_hash: str
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


def chosen_certifications(*, kind: str, study: Study) -> QuerySet[Certification]:
    """The certifications a dataset would hold, ordered by the public ids of case and narrative.

    DermCoT: of every narrative of a training case the latest certified version. DermBench: of every
    evaluation case one reference, the text certified last. Cases with an open flag are left out.
    """
    certified = _certified(kind, study)
    later = certified.filter(version__narrative=OuterRef("version__narrative"))
    newest = Q(version__number__gt=OuterRef("version__number"))
    if kind == DERMBENCH:
        later = certified.filter(version__narrative__case=OuterRef("version__narrative__case"))
        newest = Q(created_at__gt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk"))
    return (
        certified.filter(~Exists(later.filter(newest)), ~Exists(_open_flags()))
        .select_related("policy", "version__narrative__case__source", "version__narrative__case__group")
        .order_by("version__narrative__case__public_id", "version__narrative__public_id")
    )


def preview_dataset(*, kind: str, study: Study) -> DatasetPreview:
    """Counts of what :func:`freeze_dataset` would take now, by diagnosis and skin tone."""
    chosen = chosen_certifications(kind=kind, study=study).order_by()
    case = "version__narrative__case"
    totals = chosen.aggregate(
        items=Count("pk"),
        cases=Count(case, distinct=True),
        blocked=Count("pk", filter=Q(**{f"{case}__source__redistribute": "block"})),
        may_not_train=Count("pk", filter=Q(**{f"{case}__source__may_train": False})),
    )
    diagnoses = chosen.values_list(f"{case}__diagnosis").annotate(n=Count("pk")).order_by("-n", f"{case}__diagnosis")
    tones = (
        chosen.values_list(f"{case}__skin_tone_scale", f"{case}__skin_tone")
        .annotate(n=Count("pk"))
        .order_by(f"{case}__skin_tone_scale", f"{case}__skin_tone")
    )
    return DatasetPreview(
        diagnoses=tuple(diagnoses),
        tones=tuple(ToneCount(*row) for row in tones),
        held_by_flag=_certified(kind, study).filter(Exists(_open_flags())).count(),
        previous=_previous(kind, study),
        **totals,
    )


@transaction.atomic
def freeze_dataset(*, kind: str, study: Study, actor: Any) -> DatasetVersion:
    """The next immutable version of DermCoT or DermBench from what is certified now.

    Raises ``ValidationError`` when nothing is certified, nothing changed since the previous
    version, or the kind is unknown.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    if kind not in SPLIT_OF_KIND:
        raise ValidationError(f"There is no dataset of kind “{kind}”. Choose dermcot or dermbench.")
    label = DatasetVersion.Kind(kind).label
    rows = [(row, item_record(row, locked)) for row in _with_details(chosen_certifications(kind=kind, study=locked))]
    if not rows:
        raise ValidationError(
            f"{label} would be empty: no {SPLIT_OF_KIND[DatasetVersion.Kind(kind)]} case of “{locked}” has a certified "
            "narrative. Queue narratives of such cases and let the raters finish them first."
        )
    digest = content_hash([record for _, record in rows])
    previous = _previous(kind, locked)
    if previous is not None and previous.content_hash == digest:
        raise ValidationError(f"Nothing has changed since {previous}. Certify another narrative first.")
    dataset = _store(kind, locked, actor, digest, rows)
    record_event(
        actor=actor,
        action="dataset.frozen",
        subject=dataset,
        detail={"dataset": str(dataset), "items": len(rows), "content_hash": digest},
    )
    return dataset


def item_record(certification: Certification, study: Study) -> dict[str, Any]:
    """One item as plain data: what the dataset's content hash covers.

    ``rights`` are the source's at freezing; exports obey the rights as they stand on the day.
    """
    return subject_record(certification.version) | {
        "part": CERTIFIED,
        "certification": str(certification.public_id),
        "adjudicated": certification.adjudicator_id is not None,
        "policy": certification.policy.content_hash,
        "protocol": study.protocol_hash,
        "ratings": sorted(str(r.public_id) for r in certification.ratings.all()),
    }


def subject_record(version: NarrativeVersion) -> dict[str, Any]:
    """What an item is about, as plain data: case, rights, images, text."""
    narrative = version.narrative
    case = narrative.case
    return {
        "case": str(case.public_id),
        "split": case.group.split,
        "diagnosis": case.diagnosis,
        "diagnosis_basis": case.diagnosis_basis,
        "age": case.age,
        "sex": case.sex or None,
        "body_site": case.body_site or None,
        "skin_tone": case.skin_tone or None,
        "skin_tone_scale": case.skin_tone_scale or None,
        "source": {
            "name": case.source.name,
            "redistribute": case.source.redistribute,
            "may_train": case.source.may_train,
        },
        "images": [{"image": str(i.public_id), "sha256": i.sha256} for i in case.images.all()],
        "narrative": str(narrative.public_id),
        "language": narrative.language,
        "version": str(version.public_id),
        "origin": version.origin,
        "conditioning": version.conditioning or None,
        "text_sha256": version.sha256,
    }


def verify_dataset(dataset: DatasetVersion) -> DatasetCheck:
    """Compare what is stored now, texts and image files included, with what was frozen."""
    problems: list[str] = []
    records: list[dict[str, Any]] = []
    for item in dataset_items(dataset, ratings=True):
        records.append(item.record)
        problems += _item_problems(item)
    for labelled in dataset.labelled.select_related("case").prefetch_related("case__images").order_by("position"):
        records.append(labelled.record)
        problems += _image_problems(labelled.case, labelled.record["images"])
    computed = content_hash(records)
    if computed != dataset.content_hash:
        problems.append(f"The records hash to {computed}, not to {dataset.content_hash}.")
    if len(records) != dataset.item_count:
        problems.append(f"There are {len(records)} items, not {dataset.item_count}.")
    return DatasetCheck(computed, tuple(problems))


def dataset_items(dataset: DatasetVersion, *, ratings: bool = False) -> Iterator[DatasetItem]:
    """The items in order, in batches, with their case, source and images; with ``ratings``, those and their scores."""
    items = DatasetItem.objects.filter(dataset=dataset).order_by("position")
    related = items.select_related(
        "version__narrative__case__source", "version__narrative__case__group", "certification__policy"
    )
    rated = [f"certification__ratings__{name}" for name in ("scores", "rater", "rubric")] if ratings else []
    return related.prefetch_related("version__narrative__case__images", *rated).iterator(chunk_size=BATCH)


def file_sha256(file: File) -> str:
    """SHA-256 (hexadecimal) of a stored file, read in pieces. Raises ``OSError`` if it is gone."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for chunk in stream.chunks():
            digest.update(chunk)
    return digest.hexdigest()


def _certified(kind: str, study: Study) -> QuerySet[Certification]:
    return Certification.objects.filter(
        study=study,
        is_current=True,
        outcome=Certification.Outcome.CERTIFIED,
        version__narrative__case__group__split=SPLIT_OF_KIND[DatasetVersion.Kind(kind)],
    )


def _open_flags() -> QuerySet[CaseFlag]:
    return CaseFlag.objects.filter(case=OuterRef("version__narrative__case"), resolved_at__isnull=True)


def _with_details(chosen: QuerySet[Certification]) -> Iterator[Certification]:
    return chosen.prefetch_related("version__narrative__case__images", "ratings").iterator(chunk_size=BATCH)


def _previous(kind: str, study: Study) -> DatasetVersion | None:
    return DatasetVersion.objects.filter(kind=kind, study=study, rule="").order_by("-number").first()


def _store(
    kind: str, study: Study, actor: Any, digest: str, rows: list[tuple[Certification, dict[str, Any]]]
) -> DatasetVersion:
    dataset = create_dataset(kind=kind, study=study, actor=actor, content_hash=digest, item_count=len(rows))
    DatasetItem.objects.bulk_create(
        (
            DatasetItem(dataset=dataset, position=position, version=row.version, certification=row, record=record)
            for position, (row, record) in enumerate(rows, start=1)
        ),
        batch_size=BATCH,
    )
    return dataset


def _item_problems(item: DatasetItem) -> list[str]:
    record, version = item.record, item.version
    case = version.narrative.case
    problems = []
    if hashlib.sha256(version.text.encode()).hexdigest() != record["text_sha256"]:
        problems.append(f"The text of item {item.position} (case {case.code}) has changed.")
    ratings = sorted(str(rating.public_id) for rating in item.certification.ratings.all()) if item.certification else []
    if ratings != record["ratings"]:
        problems.append(f"The ratings of item {item.position} (case {case.code}) have changed.")
    return problems + _image_problems(case, record["images"])


def _image_problems(case: Case, frozen: list[dict[str, str]]) -> list[str]:
    stored = {str(image.public_id): image for image in case.images.all()}
    problems = []
    for entry in frozen:
        image = stored.get(entry["image"])
        try:
            found = file_sha256(image.file) if image else None
        except OSError:
            found = None
        if found != entry["sha256"]:
            state = "is missing" if found is None else "has changed"
            problems.append(f"Image {entry['image']} of case {case.code} {state}.")
    return problems
