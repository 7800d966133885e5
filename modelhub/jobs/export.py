"""Writes the archive of a dataset version or a study beside its final place and puts it there whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from django.conf import settings

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.models import Artifact, BenchmarkEntry, BenchmarkRun
from modelhub.services.benchmark_records import candidate_lines, result_file
from scoring.exporters.archive import ExtraFile, write_archive
from scoring.exporters.items import ExportError, released_cases
from scoring.exporters.labelled_archive import write_labelled
from scoring.exporters.study_report import write_study
from scoring.models import DatasetVersion, Score, Study


class Written(Protocol):
    """``records``: how many are in it; ``size`` in bytes, ``sha256`` of the whole file."""

    @property
    def records(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class Parcel:
    """What an export writes, under which file name, and how many of what there are; rights may leave some out."""

    name: str
    title: str
    write: Callable[[BinaryIO], Written]
    entries: int
    noun: str
    dataset: DatasetVersion | None = None


def run(context: RunContext) -> None:
    """Registers one artifact per run, under the lease; a second attempt writes over what the first left."""
    if Artifact.objects.filter(run=context.run).exists():
        return
    parcel = parcel_of(context.run.plan)
    context.write(message=f"Writing {parcel.title}")
    location = Path("artifacts") / f"{context.run.public_id.hex}.zip"
    target = Path(settings.MEDIA_ROOT) / location
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.{context.lease.token.hex}.draft")
    try:
        with draft.open("wb") as stream:
            written = parcel.write(stream)
        draft.chmod(0o600)
        draft.replace(target)
    except ExportError as error:
        raise JobFailed(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    with context.holding():
        Artifact.objects.create(
            run=context.run,
            dataset=parcel.dataset,
            name=parcel.name,
            file=str(location),
            sha256=written.sha256,
            size=written.size,
        )
        message = f"{written.records:,} {parcel.noun}, {written.size:,} bytes"
        context.progress(written.records, parcel.entries, message)


def parcel_of(plan: dict[str, Any]) -> Parcel:
    if "study" in plan:
        return study_parcel(Study.objects.get(public_id=plan["study"]))
    return dataset_parcel(DatasetVersion.objects.select_related("study").get(public_id=plan["dataset"]))


def study_parcel(study: Study) -> Parcel:
    scores = Score.objects.filter(rating__study=study).count()
    name = f"study-{str(study.public_id)[:8]}.zip"
    return Parcel(name, f"the data of {study}", partial(write_study, study), scores, "scores")


def dataset_parcel(dataset: DatasetVersion) -> Parcel:
    labelled = dataset.kind == DatasetVersion.Kind.LABELLED
    write_whole = write_labelled if labelled else write_archive

    def write(stream: BinaryIO) -> Written:
        return write_whole(dataset, stream, extra_files=extra_files(dataset))

    name = f"{'classification' if labelled else dataset.kind}-v{dataset.number}.zip"
    return Parcel(name, str(dataset), write, dataset.item_count, "cases" if labelled else "narratives", dataset)


def extra_files(dataset: DatasetVersion) -> Iterator[ExtraFile]:
    """What a benchmark's archive has beyond ``scoring``'s blind one: candidates and results of finished runs."""
    if dataset.kind not in (DatasetVersion.Kind.DERMBENCH, DatasetVersion.Kind.LABELLED):
        return
    finished = BenchmarkRun.objects.filter(dataset=dataset, results__isnull=False).select_related("run", "evaluator")
    released = released_cases(dataset)
    for number, benchmark in enumerate(finished.order_by("pk"), start=1):
        entries = BenchmarkEntry.objects.filter(benchmark=benchmark).order_by("pk")
        yield f"runs/{number}/candidates.jsonl", candidate_lines(entries, released)
        yield f"runs/{number}/results.json", result_file(benchmark)
