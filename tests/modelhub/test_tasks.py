"""The doors: their queues, what beat rings, and that they bring no torch into the process that calls them."""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

from annotator.celery import app
from annotator.runtime.supervisor import read_procfile
from modelhub import tasks
from modelhub.models import Run

DOORS = (
    tasks.run_on_default,
    tasks.run_on_gpu,
    tasks.reap_runs,
    tasks.refresh_priorities,
    tasks.refresh_statistics,
    tasks.refresh_agreements,
)


@pytest.mark.parametrize(
    ("door", "queue"), [(tasks.run_on_default, "default"), (tasks.run_on_gpu, "gpu"), (tasks.reap_runs, "clock")]
)
def test_each_door_opens_on_its_queue(door, queue):
    assert app.amqp.router.route({}, door.name)["queue"].name == queue


def test_every_queue_has_one_worker_and_what_beat_rings_waits_behind_no_run():
    processes = read_procfile(settings.BASE_DIR / "Procfile")
    worked = {name: found[1] for name, line in processes.items() if (found := re.search(r"--queues (\S+)", line))}
    assert worked == {"clock": "clock", "default": "default", "gpu": "gpu"}
    queues = {door.name: app.amqp.router.route({}, door.name)["queue"].name for door in DOORS}
    rung = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {queues[name] for name in rung} == {"clock"} and len(rung) == 4
    assert {queue for name, queue in queues.items() if name not in rung} == {"default", "gpu"}


@pytest.mark.parametrize("kind", Run.Kind.values)
def test_models_work_on_the_gpu_queue_only(kind):
    assert Run(kind=kind).queue == (
        "gpu" if kind in {"generation", "drafting", "training", "dermeval", "benchmark"} else "default"
    )


def test_beat_rings_doors_that_exist_and_stale_rings_expire():
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in {door.name for door in DOORS}
        assert entry["options"]["expires"] <= entry["schedule"]


def test_asking_for_work_loads_no_model_library():
    code = (
        "import django, sys; django.setup()\n"
        "import modelhub.tasks, modelhub.jobs.base\n"
        "from modelhub.services import benchmarks, exports, generation, models, runs, statistics, training\n"
        "from modelhub.evaluators.providers import BUILT_IN; [p().identity() for p in BUILT_IN.values()]\n"
        "found = {'torch', 'transformers', 'peft', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(', '.join(found) or 0)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
