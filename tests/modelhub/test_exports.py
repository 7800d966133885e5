"""Exports: one artifact per run, whole, with the checksum of its bytes."""

import hashlib
import zipfile

import pytest

from modelhub.jobs.base import run_job
from modelhub.models import Run
from modelhub.services.exports import request_export
from scoring.models import Source
from tests.factories import make_source
from tests.modelhub.datasets import make_dermcot

pytestmark = pytest.mark.django_db


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_an_export_is_an_artifact_with_its_checksum():
    dataset = make_dermcot(2)
    run = finished(request_export(dataset=dataset, actor=None))
    assert run.state == "succeeded", run.error
    artifact = run.artifacts.get()
    content = artifact.file.read()
    assert (artifact.name, artifact.dataset) == (f"dermcot-v{dataset.number}.zip", dataset)
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (artifact.sha256, artifact.size)
    with zipfile.ZipFile(artifact.file.path) as archive:
        assert archive.testzip() is None
        assert len(archive.read("train.jsonl").splitlines()) == 2
        assert not any("model" in name or "runs/" in name for name in archive.namelist())


def test_a_second_attempt_makes_no_second_artifact():
    run = finished(request_export(dataset=make_dermcot(1), actor=None))
    Run.objects.filter(pk=run.pk).update(state="queued")
    assert finished(run).artifacts.count() == 1


def test_a_dataset_that_may_not_leave_fails_with_a_sentence():
    dataset = make_dermcot(1)
    Source.objects.update(redistribute="block")
    run = finished(request_export(dataset=dataset, actor=None))
    assert run.state == "failed" and "blocked from export" in run.error
    assert not run.artifacts.exists()


def test_what_rights_leave_out_is_not_counted_as_written():
    dataset = make_dermcot(2)
    case = dataset.items.first().version.narrative.case
    case.source = make_source(redistribute="block")
    case.save()
    run = finished(request_export(dataset=dataset, actor=None))
    assert (run.progress_done, run.progress_total) == (1, 2) and run.message.startswith("1 narratives, ")
