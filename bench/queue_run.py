"""One run of the queue bench on one database: seeds it, lets processes full of raters at it, says what became of it.

Run as a program in the product's environment; takes a JSON plan, prints JSON. Workers are forked, so that killing one
and starting it again costs milliseconds.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import django

django.setup()

from django.db import OperationalError, connection  # noqa: E402

from annotator.accounts.models import User  # noqa: E402
from bench.queue_raters import (  # noqa: E402
    Diary,
    Habits,
    add_narratives,
    outcome_of,
    rate_until_done,
    settle_flags,
)
from bench.queue_twins import TWINS  # noqa: E402
from bench.reporting import note  # noqa: E402
from scoring.models import Assignment, Study  # noqa: E402
from scoring.services.studies import accept_sheet, add_sheet, create_study, invite_rater, start_study  # noqa: E402

FORK = multiprocessing.get_context("fork")
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Plan:
    """``pages``: open pages per rater. ``kill_every_s``: a worker dies by SIGKILL so often, 0 never."""

    raters: int
    narratives: int
    overlap: int
    processes: int
    folder: str
    seconds: float
    pages: int = 1
    kill_every_s: float = 0.0
    twin: str = ""
    seed: int = 1


def run(plan: Plan) -> dict[str, Any]:
    study, people, administrator = seeded(plan)
    with TWINS[plan.twin]() if plan.twin else nullcontext(Habits()) as habits:
        connection.close()
        kills, seconds = drive(plan, study, people, administrator, habits)
    outcome = outcome_of(study, sorted(Path(plan.folder).glob("diary-*")))
    return {**asdict(outcome), "holds": outcome.holds, "kills": kills, "seconds": round(seconds, 1)}


def seeded(plan: Plan) -> tuple[Study, list[Any], Any]:
    words: dict[str, Any] = dict.fromkeys(
        ("question", "inclusion", "exclusion_rules", "planned_analysis", "ethics"), "Bench."
    )
    study = create_study(actor=None, title="Bench", overlap=plan.overlap, seed=plan.seed, **words)
    add_sheet(study=study, text="Bench.", actor=None)
    study = start_study(study=study, actor=None)
    statement: dict[str, Any] = {"qualification": "none", "years_experience": 1, "country": "none", "conflicts": "none"}
    people = []
    for number in range(plan.raters):
        rater = User.objects.create(username=f"rater{number}", password="!")
        invite_rater(study=study, rater=rater, actor=None)
        accept_sheet(study=study, rater=rater, sheet_version=1, languages=["en"], **statement)
        people.append(rater)
    add_narratives(study, plan.narratives)
    return study, people, User.objects.create(username="administrator", password="!")


def drive(plan: Plan, study: Study, people: list[Any], administrator: Any, habits: Habits) -> tuple[int, float]:
    """Start the workers, kill some, replace them, settle flags, until all is rated or the time is up."""
    began, until = time.monotonic(), time.monotonic() + plan.seconds
    shares = [people[number :: plan.processes] for number in range(plan.processes)]
    workers = [start(plan, study, share, habits, number, until) for number, share in enumerate(shares)]
    diary = Diary(Path(plan.folder) / "diary-administrator")
    dice, kills, last_kill = random.Random(plan.seed), 0, time.monotonic()
    while any(worker.is_alive() for worker in workers) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        with suppress(OperationalError):  # as on a page: she looks again
            settle_flags(study, administrator, diary)
        left = Assignment.objects.filter(study=study, state__in=["open", "held", "claimed"]).count()
        if plan.kill_every_s and left and time.monotonic() - last_kill > plan.kill_every_s:
            number, last_kill, kills = dice.randrange(len(workers)), time.monotonic(), kills + 1
            kill(workers[number])
            workers[number] = start(plan, study, shares[number], habits, 1000 * kills + number, until)
            note(f"  {plan.raters} raters, {left} slots left, {kills} kills, {time.monotonic() - began:.0f} s")
    for worker in workers:
        worker.join(max(0.1, until + 30 - time.monotonic()))
        kill(worker)
    return kills, time.monotonic() - began


def start(plan: Plan, study: Study, people: list[Any], habits: Habits, seed: int, until: float) -> BaseProcess:
    connection.close()
    worker = FORK.Process(target=work, args=(plan, study, people, habits, seed, until), daemon=True)
    worker.start()
    return worker


def work(plan: Plan, study: Study, people: list[Any], habits: Habits, seed: int, until: float) -> None:
    """One worker process: a thread for each page of each of its raters."""
    diary = Diary(Path(plan.folder) / f"diary-{seed}")
    keywords = {"habits": habits, "diary": diary, "may_go_on": lambda: time.monotonic() < until}
    threads = [
        Thread(target=rate_until_done, args=(study, rater), kwargs=keywords | {"seed": hash((seed, page, rater.pk))})
        for rater in people
        for page in range(plan.pages)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kill(worker: BaseProcess) -> None:
    if worker.is_alive() and worker.pid:
        os.kill(worker.pid, signal.SIGKILL)
    worker.join(10)


if __name__ == "__main__":
    print(json.dumps(run(Plan(**json.loads(sys.argv[1])))))
