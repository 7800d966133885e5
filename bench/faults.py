"""`make bench-faults`: everything that can go wrong while a rater works, in Chromium against the Procfile's processes.

A round is one case, or every fourth time one pair of texts: she scores, comments, marks, corrects, submits key by key,
something happens at a random moment (kills: three in a round); in half of the kills her page is closed by it too. An
input is lost when it is missing on her page, in the draft or in what was stored: any input where the page stayed open,
one older than a second where it was closed. `--log FILE` keeps each round as a line and goes on from there; `--full` is
34 kills of each kind, and the suite's own test of job workers that are killed at their jobs.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.budget import Budget
from bench.faults_desk import Desk, Lost, Round, Stuck
from bench.faults_kinds import Fault, faults
from bench.faults_round import play
from bench.faults_studio import Studio, broker
from bench.ratings import names, seeded, study_title
from bench.reporting import conditions, finish, in_words, note, table
from bench.servers import run_python

TASKS, PAIRS, SECONDS = 160, 60, 480.0  # narratives; of these with a pair; seconds without seeding them
KILLS, FULL_KILLS, OTHERS, FULL_OTHERS = 6, 34, 4, 10  # times of each kind
PAIR_EVERY = 4
JOB_TESTS = "tests/modelhub/test_kill.py"
HEADERS = ("what happened", "cases", "times", "page closed", "inputs", "lost", "younger lost", "duplicates", "failed")


@contextmanager
def at_work(with_jobs: bool) -> Iterator[tuple[Studio, Desk]]:
    from playwright.sync_api import sync_playwright

    from tests.surroundings import chromium_path

    note(f"seeding {TASKS} narratives with their images …")
    with seeded("sqlite", (1,), TASKS) as place, ExitStack() as stack:
        environment = place.env | {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
        run_python(["-m", "bench.faults_data", study_title(1), str(PAIRS)], environment)
        studio = Studio(place)
        stack.callback(studio.stop)
        studio.start()
        if with_jobs:
            stack.enter_context(broker(place))
            studio.start_jobs()
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        try:
            yield studio, Desk(browser, studio.address, place, names(1)[0])
        finally:
            with suppress(Exception):
                browser.close()


def tried(desk: Desk, fault: Fault, first_page: str, dice: random.Random) -> Round:
    """One round; whatever breaks it stands in its words."""
    found = Round(fault.name)
    fault.prepare(desk)
    try:
        play(desk, fault, first_page, found, dice)
    except (Lost, Stuck) as broken:
        found.words = f"{type(broken).__name__}: {broken}"
    except Exception as broken:  # Playwright's errors: she cannot go on, which no promise allows
        found.words = f"{type(broken).__name__}: {str(broken).splitlines()[0]} ({desk.state()})"
    fault.wait()
    if found.failed:
        note(f"  {found.fault}, {', '.join(found.during)}: {found.words}")
        desk.start_over()
    return found


def jobs_killed() -> Round:
    """Workers killed while they generate, train, benchmark: the suite's tests of it."""
    command = [sys.executable, "-m", "pytest", "-q", JOB_TESTS, "-p", "no:cacheprovider"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    counted = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", printed)}
    failed = counted.get("failed", 0) + counted.get("error", 0)
    words = "" if counted.get("passed") and not failed else printed[-300:]
    return Round(
        "killed_at_its_job", times=counted.get("passed", 0), inputs=counted.get("passed", 0), lost=failed, words=words
    )


def known(log: Path) -> list[Round]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [Round(**json.loads(line)) for line in lines]


def keep(log: Path, one: Round) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")


def go_on(options: argparse.Namespace, log: Path) -> int:
    """Rounds until each kind has its number or the time is over; returns what is doubled in the tables."""
    dice = random.Random(options.seed)
    wanted = {name: options.kills if name.endswith("killed") else options.others for name in options.only}
    for one in known(log):
        wanted[one.fault] = wanted.get(one.fault, 0) - one.times
    with at_work(any(name.startswith("job_") and left > 0 for name, left in wanted.items())) as (studio, desk):
        budget = Budget(options.seconds, "the faults")
        for name, fault in faults(studio, dice, options.offline_minutes).items():
            number = 0
            while wanted.get(name, 0) > 0 and budget.left > 0:
                number += 1
                one = tried(desk, fault, "/preferences/" if number % PAIR_EVERY == 0 else "/rate/", dice)
                wanted[name] -= max(1, one.times)
                keep(log, one)
            fault.clear(desk)
        return desk.tables.doubles()


def row(name: str, rounds: list[Round]) -> list[object]:
    parts = ("times", "closed", "inputs", "lost", "young", "duplicates")
    sums = [sum(getattr(one, part) for one in rounds) for part in parts]
    return [name, len(rounds), *sums, sum(one.failed for one in rounds)]


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(options.log or f"{scratch}/rounds.jsonl")
        doubles = go_on(options, log)
        if options.full and not any(one.fault == "killed_at_its_job" for one in known(log)):
            keep(log, jobs_killed())
        rounds = known(log)
    kinds = {name: [one for one in rounds if one.fault == name] for name in dict.fromkeys(one.fault for one in rounds)}
    during = Counter(kind for one in rounds for kind in one.during)
    print(in_words(conditions("Django", "gunicorn", "playwright")))
    print(table(HEADERS, [row(name, found) for name, found in kinds.items()]))
    print("While she was " + ", ".join(f"{kind}: {number}" for kind, number in during.most_common()))
    result: dict[str, Any] = {
        name: {"tried": sum(one.times for one in found), "failed": sum(one.failed for one in found)}
        for name, found in kinds.items()
    }
    result |= {"seed": options.seed, "inputs": sum(one.inputs for one in rounds), "doubled_in_tables": doubles}
    finish(result)
    sys.exit(int(not rounds or bool(doubles) or any(one.failed for one in rounds)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = list(faults(None, random.Random(), 0))
    parser.add_argument("--kills", type=int, default=KILLS, help="of server, web worker and job worker, each")
    parser.add_argument("--others", type=int, default=OTHERS, help="times of each other kind")
    parser.add_argument("--full", action="store_true", help=f"{FULL_KILLS} kills of each kind, {FULL_OTHERS} of others")
    parser.add_argument("--only", nargs="+", default=every, choices=every, metavar="KIND", help=", ".join(every))
    parser.add_argument("--log", help="one line per round; rounds that it holds are not done again")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="then the rest is left out")
    parser.add_argument("--offline-minutes", type=float, default=0, help="really wait so long, not by Chromium's clock")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if options.full:
        options.kills, options.others = FULL_KILLS, FULL_OTHERS
    return options


if __name__ == "__main__":
    main()
