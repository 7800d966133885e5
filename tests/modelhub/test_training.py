"""Training runs with the real trainer on a random checkpoint: refused by name, trained, registered once, resumed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from modelhub.jobs import training as job
from modelhub.jobs.base import run_job
from modelhub.jobs.trainer_process import PID, TrainerProcess, end_orphan
from modelhub.ml.checkpoint_files import hash_weights
from modelhub.models import ModelVersion, Run, Training
from modelhub.services.generation import request_generation
from modelhub.services.models import model_folder
from modelhub.services.runs import retry_run
from modelhub.services.teachers import TINY_FOLDER
from modelhub.services.training import request_training
from scoring.models import Case, Source
from tests.factories import make_administrator, make_case, make_source
from tests.modelhub.checkpoints import SHORT, checkpoint, make_base
from tests.modelhub.datasets import make_dermbench, make_dermcot

pytestmark = pytest.mark.django_db
QUICK = {"epochs": 2, "rank": 2, "alpha": 4, "batch": 2, "grad_accumulation": 1, "checkpoint_every_steps": 1}


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_evaluation_cases_are_never_trained_on():
    with pytest.raises(ValidationError, match="evaluation cases, which training never reads"):
        request_training(base=make_base(), dataset=make_dermbench(1), actor=None)
    assert not Run.objects.exists()


def test_a_source_that_may_not_train_is_refused_by_the_cases_name():
    source = make_source(name="Clinic archive", may_train=False)
    dataset = make_dermcot(2, source=source)
    with pytest.raises(ValidationError, match="“Clinic archive” does not allow training") as refused:
        request_training(base=make_base(), dataset=dataset, actor=None)
    assert all(case.code in str(refused.value) for case in Case.objects.all())


def test_a_right_withdrawn_after_the_request_stops_the_run():
    run = request_training(base=make_base(), dataset=make_dermcot(2), settings=QUICK, actor=None)
    Source.objects.update(may_train=False)
    assert finished(run).state == "failed"
    assert "does not allow training" in run.error
    assert not ModelVersion.objects.filter(kind="adapter").exists()


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"lr": 0}, {"recipe": "all"}, {"device": "cuda"}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValidationError):
        request_training(base=make_base(), dataset=make_dermcot(1), settings=bad, actor=None)


@pytest.mark.slow
@pytest.mark.one_round
def test_a_trained_adapter_is_registered_once_with_its_provenance_and_writes():
    actor, base, dataset = make_administrator(), make_base(), make_dermcot(4)
    run = finished(request_training(base=base, dataset=dataset, settings=QUICK, actor=actor))
    assert run.state == "succeeded", run.error
    training = Training.objects.get(run=run)
    assert [point["step"] for point in training.curve] == [1, 2, 3, 4]
    assert (run.progress_done, run.progress_total) == (4, 4)
    adapter = training.result
    assert (adapter.kind, adapter.base, adapter.created_by) == ("adapter", base, actor)
    assert adapter.name == f"Random base + {dataset}"
    assert adapter.card["base_sha256"] == base.weights_hash
    assert adapter.card["dataset_content_sha256"] == dataset.content_hash
    assert adapter.card["settings"]["rank"] == 2
    files = {path.name for path in model_folder(adapter).iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "provenance.json"} <= files
    assert training.metrics["steps"] == 4 and training.metrics["answer"] > 0

    Run.objects.filter(pk=run.pk).update(state="queued")  # as if the worker died before its last write
    finished(run)
    assert ModelVersion.objects.filter(kind="adapter").count() == 1

    writing = finished(
        request_generation(
            cases=Case.objects.filter(pk=make_case().pk),
            model=adapter,
            settings=SHORT | {"max_new_tokens": 4},
            actor=None,
        )
    )
    assert writing.state == "succeeded", writing.error
    identity = writing.generations.get().settings["identity"]
    assert identity["adapter_sha256"] == adapter.weights_hash


@pytest.mark.slow
@pytest.mark.one_round
def test_a_second_distillation_with_a_teacher_reads_no_case_again_and_the_cache_keeps_its_limit(settings):
    base, dataset = make_base(synthetic=True), make_dermcot(3)
    quick = QUICK | {"recipe": "dual_distillation", "epochs": 1}
    cache = job.cache_folder()
    shutil.rmtree(cache, ignore_errors=True)
    trainings = []
    for limit, teacher in ((1, ""), (0, "tiny-teacher")):
        settings.HIDDEN_STATES_GB = limit
        run = finished(request_training(base=base, dataset=dataset, settings=quick, teacher=teacher, actor=None))
        assert run.state == "succeeded", run.error
        trainings.append(Training.objects.get(run=run))
        card = trainings[-1].result.card
        assert card["hidden_states"]["cases"] == 3 and card["trainable"].keys() == {"branch"}
        assert len(list(cache.glob("*/*.safetensors"))) == 3 * limit
    alone, taught = trainings
    assert [training.result.card["hidden_states"]["computed"] for training in trainings] == [3, 0]
    assert {point["losses"]["distill"] for point in alone.curve} == {None}
    assert all(point["losses"][term] > 0 for point in taught.curve for term in ("answer", "distill", "skin"))
    counts = [(t.metrics["images_with_teacher_features"], t.metrics["images_without"]) for t in trainings]
    assert counts == [(0, 3), (3, 0)]
    assert alone.result.card["teacher"] is None
    assert taught.result.card["teacher"]["weights_sha256"] == hash_weights(TINY_FOLDER)
    recorded = json.loads((model_folder(taught.result) / "skin_branch.json").read_text())
    assert recorded["teacher_width"] == 128


@pytest.mark.parametrize(
    ("teacher", "recipe", "synthetic", "reason"),
    [
        ("tiny-teacher", "lora", True, "LoRA learns from no teacher"),
        ("tiny-teacher", "both", False, "knows only drawn lesions"),
        ("panderm", "both", False, "not among tiny-teacher"),
        ("../models/x", "both", False, "no hub id"),
    ],
)
def test_a_teacher_of_no_use_is_refused(teacher, recipe, synthetic, reason):
    base, dataset = make_base(synthetic=synthetic), make_dermcot(1)
    with pytest.raises(ValidationError, match=reason):
        request_training(base=base, dataset=dataset, settings={"recipe": recipe}, teacher=teacher, actor=None)
    assert not Run.objects.filter(kind="training").exists()


def test_a_teacher_that_is_no_image_encoder_ends_the_run_in_words(settings, tmp_path):
    settings.MODEL_ROOT = tmp_path
    shutil.copytree(checkpoint(0), tmp_path / "language")
    asked = {"settings": QUICK | {"recipe": "both"}, "teacher": "language"}
    run = finished(request_training(base=make_base(), dataset=make_dermcot(1), **asked, actor=None))
    assert run.state == "failed"
    assert run.error.startswith("The teacher language could not be used: ") and "Traceback" not in run.error
    assert not ModelVersion.objects.filter(kind="adapter").exists()


class Told:
    """A run's context that keeps what was told."""

    def __init__(self):
        self.messages = []

    def holding(self):
        return contextlib.nullcontext()

    def progress(self, done, total, message):
        self.messages.append((done, total, message))


def test_the_page_says_how_many_cases_are_read_then_which_step(tmp_path):
    run = request_training(base=make_base(), dataset=make_dermcot(1), settings=QUICK, actor=None)
    training, context, seen = Training.objects.get(run=run), Told(), ""
    events = [
        {"kind": "start", "trainable": {"branch": 9}, "steps": 2, "done": 0},
        {"kind": "reading", "done": 37, "total": 500},
        {"kind": "notice", "text": "Kept hidden states of 1 cases were damaged and made again."},
        {"kind": "step", "step": 1, "steps": 2, "losses": {"total": 3.25}},
    ]
    for number in range(1, len(events) + 1):
        lines = "".join(json.dumps(event) + "\n" for event in events[:number])
        (tmp_path / "progress.jsonl").write_text(lines + '{"kind": "st')  # the trainer is writing
        seen = job.follow(context, training, tmp_path / "progress.jsonl", seen)
    assert context.messages == [(37, 500, "Reading cases 37 of 500"), (1, 2, "Step 1 of 2, loss 3.2500")]
    training.refresh_from_db()
    assert training.curve == events[-1:]


def test_the_trainer_reads_what_was_frozen_and_no_truth():
    dataset = make_dermcot(2)
    run = request_training(base=make_base(), dataset=dataset, settings=QUICK, actor=None)
    lease_folder = Path(settings.VAR_DIR) / "runs" / run.public_id.hex

    class Context:
        def __init__(self):
            self.run = run

        def write(self, **fields):
            pass

    folder = job.run_folder(Context())
    job.prepare(Context(), Training.objects.get(run=run), folder)
    assert folder == lease_folder
    records = [json.loads(line) for line in (folder / "data" / "train.jsonl").read_text().splitlines()]
    assert {record["messages"][1]["content"] for record in records} == {
        item.version.text for item in dataset.items.all()
    }
    assert {name for record in records for name in record} == {"messages", "images", "skin_labels"}


@pytest.mark.slow
@pytest.mark.one_round
def test_a_trainer_that_fails_is_quoted_in_plain_words():
    run = request_training(base=make_base(), dataset=make_dermcot(2), settings=QUICK | {"max_length": 16}, actor=None)
    finished(run)
    assert run.state == "failed"
    assert run.error.startswith("The training stopped: ") and "Traceback" not in run.error
    assert "16" in run.error
    again = finished(retry_run(run=run, actor=None))
    assert again.state == "failed" and again.attempt == 1


SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process_id}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True


def wait_for(path: Path) -> int:
    until = time.monotonic() + 10
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return int(path.read_text())


def test_a_cancelled_trainer_ends_with_its_whole_group(tmp_path):
    command = ["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(600)' & echo $! > child; wait"]
    trainer = TrainerProcess(tmp_path, command, cwd=tmp_path)
    child = wait_for(tmp_path / "child")
    trainer.end()
    assert trainer.poll() == -signal.SIGTERM
    time.sleep(0.2)
    assert not alive(child)


def test_the_trainer_of_a_killed_worker_is_ended_before_the_next_starts(tmp_path):
    start = (
        "from pathlib import Path; from modelhub.jobs.trainer_process import TrainerProcess; import sys, os, signal\n"
        "TrainerProcess(Path(sys.argv[1]), [sys.executable, '-c', 'import time; time.sleep(600)'], cwd=Path('.'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    worker = subprocess.run([sys.executable, "-c", start, str(tmp_path)], cwd=settings.BASE_DIR, check=False)
    assert worker.returncode == -signal.SIGKILL
    orphan = wait_for(tmp_path / PID)
    assert alive(orphan)
    second = TrainerProcess(tmp_path, SLEEPER, cwd=tmp_path)
    try:
        assert not alive(orphan)
        assert wait_for(tmp_path / PID) != orphan
    finally:
        second.end()


def test_without_an_orphan_a_stale_process_id_is_not_touched(tmp_path):
    (tmp_path / PID).write_text(str(os.getpid()))  # a number that the system gave to somebody else since
    os.close(end_orphan(tmp_path))
