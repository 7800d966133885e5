"""Writes a dataset version's archive beside its final place and puts it there whole."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.models import Artifact, BenchmarkEntry, BenchmarkRun
from modelhub.services.benchmark_records import candidate_lines, result_file
from scoring.exporters.archive import ArchiveReport, ExtraFile, write_archive
from scoring.exporters.items import ExportError, released_cases
from scoring.models import DatasetVersion


def run(context: RunContext) -> None:
    """Registers one artifact per run, under the lease; a second attempt writes over what the first left."""
    dataset = DatasetVersion.objects.select_related("study").get(public_id=context.run.plan["dataset"])
    if Artifact.objects.filter(run=context.run).exists():
        return
    context.write(message=f"Writing {dataset}")
    location = Path("artifacts") / f"{context.run.public_id.hex}.zip"
    target = Path(settings.MEDIA_ROOT) / location
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.{context.lease.token.hex}.draft")
    try:
        report = write_file(dataset, draft)
        draft.chmod(0o600)
        draft.replace(target)
    except ExportError as error:
        raise JobFailed(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    with context.holding():
        Artifact.objects.create(
            run=context.run,
            dataset=dataset,
            name=f"{dataset.kind}-v{dataset.number}.zip",
            file=str(location),
            sha256=report.sha256,
            size=report.size,
        )
        context.progress(report.records, dataset.item_count, f"{report.records} narratives, {report.size:,} bytes")


def write_file(dataset: DatasetVersion, path: Path) -> ArchiveReport:
    with path.open("wb") as stream:
        return write_archive(dataset, stream, extra_files=extra_files(dataset))


def extra_files(dataset: DatasetVersion) -> Iterator[ExtraFile]:
    """What DermBench's archive has beyond ``scoring``'s blind one: candidates, scores and results of finished runs."""
    if dataset.kind != DatasetVersion.Kind.DERMBENCH:
        return
    finished = BenchmarkRun.objects.filter(dataset=dataset, results__isnull=False).select_related("run", "evaluator")
    released = released_cases(dataset)
    for number, benchmark in enumerate(finished.order_by("pk"), start=1):
        entries = BenchmarkEntry.objects.filter(benchmark=benchmark).order_by("pk")
        yield f"runs/{number}/candidates.jsonl", candidate_lines(entries, released)
        yield f"runs/{number}/results.json", result_file(benchmark)
