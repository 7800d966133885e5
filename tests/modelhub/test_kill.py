"""``kill -9`` of a worker: the next one finishes the run, once; nothing is lost, nothing doubled."""

import json
from pathlib import Path

import pytest
from django.conf import settings

from modelhub.jobs.trainer_process import PID
from modelhub.models import Evaluation, Generation, ModelVersion, Run, Training
from modelhub.services.benchmarks import request_benchmark
from modelhub.services.generation import request_generation
from modelhub.services.runs import claim_run, reap
from modelhub.services.training import request_training
from scoring.models import Assignment, Case, Narrative, NarrativeVersion
from tests.factories import make_case, make_study
from tests.modelhub.checkpoints import make_base
from tests.modelhub.datasets import make_dermbench, make_dermcot
from tests.modelhub.test_training import alive
from tests.modelhub.workers import Worker, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SLOW = {"do_sample": False, "max_new_tokens": 60, "batch_size": 1}


def next_worker(run: Run, log: Path) -> Run:
    """Before the lease runs out nobody may have the run; afterwards the reaper queues it and a worker ends it."""
    assert claim_run(run.pk) is None
    assert Run.objects.get(pk=run.pk).state == "running"
    until(lambda: reap() > 0)
    Worker(run.pk, log).wait()
    run.refresh_from_db()
    return run


def test_killed_while_generating(tmp_path):
    study = make_study(overlap=2)
    chosen = Case.objects.filter(pk__in=[make_case().pk for _ in range(12)])
    run = request_generation(cases=chosen, model=make_base(), study=study, settings=SLOW, actor=None)
    rows = Generation.objects.filter(run=run)
    worker = Worker(run.pk, tmp_path / "log")
    until(lambda: rows.exclude(state="pending").count() >= 3)
    worker.kill()
    before = dict(rows.filter(state="done").values_list("pk", "version"))
    assert 0 < len(before) < 12
    next_worker(run, tmp_path / "log")
    assert (run.state, run.attempt, run.progress_done) == ("succeeded", 2, 12), run.error
    after = dict(rows.filter(state="done").values_list("pk", "version"))
    assert after.items() >= before.items()
    assert rows.filter(state="pending").count() == 0
    assert Narrative.objects.count() == NarrativeVersion.objects.count() == len(after)
    assert Assignment.objects.filter(study=study).count() == 2 * len(after)


def test_killed_while_training(tmp_path):
    quick = {"epochs": 30, "rank": 2, "alpha": 4, "batch": 2, "grad_accumulation": 1, "checkpoint_every_steps": 2}
    run = request_training(base=make_base(), dataset=make_dermcot(8), settings=quick, actor=None)
    training = Training.objects.filter(run=run)
    worker = Worker(run.pk, tmp_path / "log")
    until(lambda: len(training.get().curve) >= 5)
    worker.kill()
    folder = Path(settings.VAR_DIR) / "runs" / run.public_id.hex
    orphan = int((folder / PID).read_text())
    checkpoint = json.loads((folder / "out" / "checkpoint" / "latest.json").read_text())["step"]
    first = training.get().curve
    assert checkpoint >= 2 and len(first) < 120
    next_worker(run, tmp_path / "log")
    assert not alive(orphan)
    assert (run.state, run.attempt) == ("succeeded", 2), run.error
    curve = training.get().curve
    assert [point["step"] for point in curve] == list(range(1, 121))
    kept = min(checkpoint, len(first))  # the trainer may have kept a step that its worker had not yet read
    assert curve[:kept] == first[:kept]
    assert ModelVersion.objects.filter(kind="adapter").count() == 1
    assert training.get().result.card["steps"] == 120


def test_killed_while_benchmarking(tmp_path):
    models = [make_base(), make_base("Other", seed=1)]
    run = request_benchmark(dataset=make_dermbench(6), models=models, settings=SLOW, actor=None)
    rows = Generation.objects.filter(run=run)
    worker = Worker(run.pk, tmp_path / "log")
    until(lambda: rows.exclude(state="pending").count() >= 3)
    worker.kill()
    before = dict(rows.filter(state="done").values_list("pk", "version"))
    texts = NarrativeVersion.objects.count() - len(before)
    next_worker(run, tmp_path / "log")
    assert run.state == "succeeded", run.error
    after = dict(rows.filter(state="done").values_list("pk", "version"))
    assert after.items() >= before.items()
    assert NarrativeVersion.objects.count() == texts + len(after)
    assert Evaluation.objects.filter(run=run).count() == len(after)
    assert run.benchmark.entries.exclude(state="pending").count() == 12
