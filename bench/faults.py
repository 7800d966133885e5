"""`make bench-faults`: everything that can go wrong while a rater works, in Chromium against the Procfile's server.

Each round is one case: she scores key by key, something happens at a random moment (in half of the rounds her page is
closed by it too), she goes on and submits. `failed` counts rounds in which an input older than a second was lost, or
the case has not exactly one rating with her scores. `--full` kills a hundred times each and lets job workers be killed
by the suite's own test of it.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench.budget import Budget
from bench.faults_desk import Desk, Lost
from bench.ratings import Place, names, seeded
from bench.reporting import conditions, finish, in_words, note, process_tree, table
from bench.servers import Server, free_port, web_server

TASKS, SECONDS, FULL_SECONDS = 200, 240.0, 3_000.0  # narratives; seconds without seeding them
FULL_TASKS = 400
KILLS, OTHERS = 12, 8  # rounds of each promise; a hundred kills with --full
AFTER_SUBMISSION = 7  # the last moment of a round: see `Desk.round`
LATEST = {"session_expired": 5, "two_tabs": 6}  # these need something left to enter, or to submit
JOB_TESTS = "tests/modelhub/test_kill.py"


@dataclass
class Studio:
    """The server under test, which can be killed and comes back at the same address."""

    place: Place
    port: int = field(default_factory=free_port)
    _running: Any = None
    web: Server | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._running = web_server(self.place.env, self.port)
        self.web = self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = self.web = None

    def kill(self) -> None:
        """SIGKILL to the server with all its processes, as when the machine goes down; then it is started anew."""
        assert self.web is not None
        os.killpg(self.web.pid, signal.SIGKILL)
        self.stop()
        self.start()

    def kill_worker(self, dice: random.Random) -> None:
        """SIGKILL to one of the processes that answer; its parent starts another."""
        assert self.web is not None
        children = [pid for pid in process_tree(self.web.pid) if pid != self.web.pid]
        with suppress(ProcessLookupError):
            os.kill(dice.choice(children), signal.SIGKILL)


Fault = Callable[[Desk], None]


def faults(studio: Studio, dice: random.Random) -> dict[str, Fault]:
    """What happens to her, by the name of the promise."""
    return {
        "web_server_killed": lambda desk: _with_lid(desk, dice, studio.kill),
        "web_worker_killed": lambda desk: _with_lid(desk, dice, lambda: studio.kill_worker(dice)),
        "session_expired": lambda desk: desk.expire_session(),
        "token_rotated": lambda desk: desk.rotate_token(),
        "offline_ten_minutes": lambda desk: desk.go_offline(minutes=10),
        "two_tabs": lambda desk: desk.open_second_tab(),
    }


def _with_lid(desk: Desk, dice: random.Random, happen: Callable[[], None]) -> None:
    closes = dice.random() < 0.5
    if closes:
        desk.close_lid()
    happen()
    if closes:
        desk.open()


def tried(desk: Desk, fault: Fault, rounds: int, budget: Budget, dice: random.Random, name: str) -> dict[str, int]:
    """So many rounds of one promise, fewer where the time is over."""
    done = failed = 0
    while done < rounds and budget.left > 0:
        done += 1
        try:
            desk.round(fault, dice.randint(0, LATEST.get(name, AFTER_SUBMISSION)), dice)
        except Lost as lost:
            failed += 1
            note(f"  {name}, round {done}: {lost}")
            desk.start_over()
    note(f"{name}: {done} tried, {failed} failed")
    return {"tried": done, "failed": failed}


def jobs_killed() -> dict[str, int]:
    """Workers killed while they generate, train, benchmark: the suite's tests of it, counted."""
    command = [sys.executable, "-m", "pytest", "-q", JOB_TESTS, "-p", "no:cacheprovider"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    counted = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", printed)}
    failed = counted.get("failed", 0) + counted.get("error", 0)
    return {"tried": counted.get("passed", 0) + failed, "failed": failed}


@contextmanager
def at_work(tasks: int) -> Iterator[tuple[Studio, Desk]]:
    from playwright.sync_api import sync_playwright

    from tests.surroundings import chromium_path

    note(f"seeding {tasks} narratives with their images …")
    with seeded("sqlite", (1,), tasks) as place, sync_playwright() as playwright:
        studio = Studio(place)
        studio.start()
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        try:
            yield studio, Desk(browser, studio.address, place, names(1)[0])
        finally:
            with suppress(Exception):
                browser.close()
            studio.stop()


def main() -> None:
    options = arguments()
    dice = random.Random(options.seed)
    result: dict[str, Any] = {}
    with at_work(FULL_TASKS if options.full else TASKS) as (studio, desk):
        budget = Budget(FULL_SECONDS if options.full else SECONDS, "the faults")
        chosen = {name: one for name, one in faults(studio, dice).items() if not options.only or name in options.only}
        for number, (name, fault) in enumerate(chosen.items()):
            share = budget.part(budget.left / (len(chosen) - number), name)
            rounds = options.kills if name.endswith("killed") else OTHERS
            result[name] = tried(desk, fault, rounds, share, dice, name)
    if options.full:
        result["job_worker_killed"] = jobs_killed()
    result |= {"seed": options.seed, "seconds": round(budget.seconds - budget.left)}
    print(in_words(conditions("Django", "gunicorn", "playwright")))
    promises = {name: one for name, one in result.items() if isinstance(one, dict)}
    print(
        table(("promise", "tried", "failed"), [[name, one["tried"], one["failed"]] for name, one in promises.items()])
    )
    finish(result)
    sys.exit(int(any(one["failed"] or not one["tried"] for one in promises.values())))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS, help="kills of the server, and of one of its workers")
    parser.add_argument("--full", action="store_true", help="100 kills of each, and of job workers")
    parser.add_argument("--only", nargs="+", default=[], metavar="PROMISE")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    options.kills = 100 if options.full else options.kills
    return options


if __name__ == "__main__":
    main()
