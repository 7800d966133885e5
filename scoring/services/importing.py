"""Importing: a folder of cases, record by record; a bad one is refused by name and the rest goes on."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from scoring.importers import IMPORTERS, CaseRecord, Importer, ImportRefused, RecordProblem
from scoring.models import Case, CaseGroup, NarrativeVersion, Source, Split
from scoring.services.audit import record_event
from scoring.services.cases import check_case, store_case
from scoring.services.images import MAX_BYTES, CleanImage, ImageRefused, clean_image
from scoring.services.narratives import check_text, create_narrative
from scoring.services.references import flag_reference

MOST_NAMED = 1_000  # problems kept by name; all are counted
DEEPEST = 3
COMPARED = ("diagnosis", "diagnosis_basis", "age", "sex", "body_site", "skin_tone", "skin_tone_scale")

Progress = Callable[[int, int], object]


@dataclass
class ImportReport:
    """``problems`` names the first 1,000; ``refused`` counts all of them."""

    created: int = 0
    already_there: int = 0
    refused: int = 0
    stopped: bool = False
    problems: list[RecordProblem] = field(default_factory=list)

    def refuse(self, problem: RecordProblem) -> None:
        self.refused += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append(problem)

    @property
    def sentence(self) -> str:
        told = f"{self.created} cases imported, {self.already_there} were already here, {self.refused} refused"
        return f"{told}; stopped before the end." if self.stopped else f"{told}."


def import_cases(
    *,
    format: str,
    path: Path,
    source: Source,
    actor: Any,
    evaluation_share: float = 0.2,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    holding: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> ImportReport:
    """Import a folder in the named format; started again, it goes on with what is missing.

    ``evaluation_share``: 0 to 1, of the groups for which neither the table nor an earlier import names a split.
    ``progress`` gets (records done, records in all). ``holding`` surrounds the storing of each case.
    Raises ``ValidationError`` when nothing can be read.
    """
    if format not in IMPORTERS:
        raise ValidationError(f"“{format}” is no format. Formats are {', '.join(IMPORTERS)}.")
    check_share(evaluation_share)
    importer, report = IMPORTERS[format], ImportReport()
    check_rights(importer, source)
    try:
        root = find_root(path, importer)
        total = importer.count(root)
        for done, record in enumerate(_until(importer.read(root), should_stop, report), start=1):
            if isinstance(record, RecordProblem):
                report.refuse(record)
            else:
                _take(record, source, evaluation_share, report, holding)
            if progress is not None:
                progress(min(done, total), total)
    except ImportRefused as error:
        raise ValidationError(str(error)) from error
    detail = {"format": format, "created": report.created, "refused": report.refused}
    record_event(actor=actor, action="cases.imported", subject=source, detail=detail)
    return report


def check_rights(importer: Importer, source: Source) -> None:
    """Raises ``ValidationError`` where the source would let images travel that may not."""
    if not importer.redistributable and source.redistribute == Source.Redistribute.EMBED:
        raise ValidationError(
            f"The images of {importer.label} may not be redistributed, and the source “{source}” lets images travel "
            "with an export. Choose or make a source that only names them, or blocks them."
        )


def check_share(evaluation_share: float) -> None:
    if not 0 <= evaluation_share <= 1:
        raise ValidationError("The evaluation share lies between 0 and 1.")


def find_root(path: Path, importer: Importer) -> Path:
    """The folder with the format's table: ``path`` or, as archives unpack, one not far below it."""
    for depth in range(DEEPEST + 1):
        found = sorted(table.parent for table in path.glob("*/" * depth + importer.table))
        if len(found) > 1:
            raise ImportRefused(f"There are {len(found)} files {importer.table}. Import one folder at a time.")
        if found:
            return found[0]
    raise ImportRefused(f"There is no {importer.table} in this folder. Expected: {importer.layout}")


def split_of(group_key: str, source: Source, evaluation_share: float) -> str:
    """The split of a group that nobody assigned: the same on every machine for the same source name and group."""
    digest = hashlib.sha256(f"{source.name}\0{group_key}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    return Split.EVALUATION if position < evaluation_share else Split.TRAINING


def _until(
    records: Iterator[CaseRecord | RecordProblem], should_stop: Callable[[], bool], report: ImportReport
) -> Iterator[CaseRecord | RecordProblem]:
    for record in records:
        if should_stop():
            report.stopped = True
            return
        yield record


def _take(
    record: CaseRecord,
    source: Source,
    evaluation_share: float,
    report: ImportReport,
    holding: Callable[[], AbstractContextManager[Any]],
) -> None:
    """Store one record, or report by name why not."""
    case = _case(record, source)
    try:
        existing = Case.objects.filter(source=source, source_key=record.source_key).first()
        if existing is not None:
            _check_unchanged(existing, case, len(record.images), record.narrative)
            report.already_there += 1
            return
        split = record.split or _split_by_group(record, source, evaluation_share)
        check_case(case, record.group_key, split)
        if record.narrative:
            check_text(record.narrative)  # before any file is written
        pictures = [_picture(path) for path in record.images]
        with holding(), transaction.atomic():
            stored = store_case(case=case, group_key=record.group_key, split=split, pictures=pictures)
            if record.narrative and stored is case:  # else somebody stored it meanwhile
                flag_reference(
                    create_narrative(case=stored, text=record.narrative, author_kind=NarrativeVersion.Author.IMPORT)
                )
        report.created += 1
    except ValidationError as error:
        report.refuse(RecordProblem(record.source_key, " ".join(error.messages)))


def _case(record: CaseRecord, source: Source) -> Case:
    return Case(
        source=source,
        source_key=record.source_key,
        diagnosis=record.diagnosis,
        diagnosis_basis=record.basis,
        age=record.age,
        sex=record.sex,
        body_site=record.body_site,
        skin_tone=record.skin_tone,
        skin_tone_scale=record.skin_tone_scale,
    )


def _check_unchanged(existing: Case, stated: Case, images: int, narrative: str) -> None:
    changed = [name for name in COMPARED if getattr(existing, name) != getattr(stated, name)]
    labels = [str(Case._meta.get_field(name).verbose_name) for name in changed]  # type: ignore[union-attr]
    if existing.images.count() != images:
        labels.append("number of images")
    texts = NarrativeVersion.objects.filter(narrative__case=existing, author_kind=NarrativeVersion.Author.IMPORT)
    if narrative and not texts.filter(sha256=hashlib.sha256(narrative.encode()).hexdigest()).exists():
        labels.append("text")
    if labels:
        names = ", ".join(labels)
        raise ValidationError(f"Imported before with another {names}; the stored case was left as it is.")


def _split_by_group(record: CaseRecord, source: Source, evaluation_share: float) -> str:
    assigned = CaseGroup.objects.filter(source=source, key=record.group_key).values_list("split", flat=True).first()
    return assigned or split_of(record.group_key, source, evaluation_share)


def _picture(path: Path) -> CleanImage:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageRefused(f"it is larger than {MAX_BYTES / 1e6:.0f} MB")
        return clean_image(path.read_bytes())
    except ImageRefused as error:
        raise ValidationError(f"Image “{path.name}” is refused: {error}.") from error
    except OSError as error:
        raise ValidationError(f"Image “{path.name}” cannot be read: {error.strerror}.") from error
