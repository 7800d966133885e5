"""Imports cases; started again, it goes on with what is missing."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from modelhub.jobs.base import Cancelled, JobFailed, RunContext
from modelhub.services.imports import uploads
from scoring.importers.archive import ArchiveRefused, unpack_archive
from scoring.models import Source
from scoring.services.importing import ImportReport, import_cases

PROGRESS_EVERY_S = 0.5
REPORTED = 200  # problems kept with the run; the rest is counted


def run(context: RunContext) -> None:
    plan = context.run.plan
    source = Source.objects.get(public_id=plan["source"])
    with _folder(context, plan) as path:
        report = import_cases(
            format=plan["format"],
            path=path,
            source=source,
            actor=context.run.created_by,
            evaluation_share=plan["evaluation_share"],
            progress=_Progress(context),
            should_stop=context.should_stop,
            holding=context.holding,
        )
    _store(context, plan, report)


class _Progress:
    """Tells the run how far it is, at most twice a second."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told >= PROGRESS_EVERY_S:
            self._context.progress(done, total, f"{done} of {total} records")
            self._told = time.monotonic()


@contextmanager
def _folder(context: RunContext, plan: dict[str, Any]) -> Iterator[Path]:
    """The folder to read. An archive goes once it was read or cannot be: its pictures are not cleaned."""
    if plan["folder"]:
        path = Path(settings.IMPORT_ROOT) / plan["folder"]
        if not path.is_dir():
            raise JobFailed(f"The folder “{plan['folder']}” is no longer on the server.")
        yield path
        return
    archive = uploads() / plan["archive"]
    if not archive.is_file():
        raise JobFailed("The uploaded archive is gone. Upload it again.")
    unpacked = uploads() / context.run.public_id.hex
    shutil.rmtree(unpacked, ignore_errors=True)  # of a worker that was killed
    context.progress(0, message="Unpacking the archive")
    try:
        unpack_archive(archive, unpacked)
        yield unpacked
    except ArchiveRefused as error:
        archive.unlink(missing_ok=True)
        raise JobFailed(str(error)) from error
    except ValidationError:
        archive.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    archive.unlink(missing_ok=True)


def _store(context: RunContext, plan: dict[str, Any], report: ImportReport) -> None:
    """The report goes into the run's plan, where its page reads it."""
    stored = {
        "cases imported": report.created,
        "already here": report.already_there,
        "refused": report.refused,
        "problems": [asdict(problem) for problem in report.problems[:REPORTED]],
    }
    context.write(plan=plan | {"report": stored}, message=report.sentence)
    if report.stopped:
        raise Cancelled
    if report.refused and not report.created and not report.already_there:
        raise JobFailed(f"No case could be imported. The first reason: {report.problems[0]}.")
