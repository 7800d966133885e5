"""Trains in children that are killed at random moments, one after the other, then once to the end.

A script, so that forking children, which saves each of them the import of torch, happens in a process without threads:
`python -m tests.ml.killed_trainer BASE DATA OUT SETTINGS KILLS SEED`. Prints how the children ended.
"""

import json
import os
import random
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from modelhub.ml import train as trainer
from modelhub.ml.hidden_cache import HiddenCache
from modelhub.ml.train_loop import PROGRESS_FILE
from modelhub.ml.train_settings import TrainSettings

PASSES = "passes.txt"


def watch_passes(log: Path) -> None:
    """A line before and after each case that the backbone reads, whatever process it is in."""
    compute = HiddenCache._compute

    def watched(self: HiddenCache, record: Any, path: Path, key: str) -> Any:
        for word in ("begun", "kept"):
            if word == "kept":
                example = compute(self, record, path, key)
            with log.open("a") as stream:
                stream.write(f"{word} {key}\n")
        return example

    HiddenCache._compute = watched  # type: ignore[method-assign]


@dataclass(frozen=True)
class Moment:
    """`delay_s` after the `number`-th event of a kind in one child's life."""

    kind: str
    number: int
    delay_s: float


class KillAt:
    """SIGKILL from within at a moment."""

    def __init__(self, moment: Moment | None) -> None:
        self.moment = moment
        self.seen = 0

    def __call__(self, event: dict[str, Any]) -> None:
        if self.moment is None or event["kind"] != self.moment.kind:
            return
        self.seen += 1
        if self.seen == self.moment.number:
            timer = threading.Timer(self.moment.delay_s, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()


def choose_moments(recipe: str, cases: int, steps: int, kills: int, chance: random.Random) -> list[Moment]:
    """Half of them, where cases are read, while they are; the rest while training, never so late that it ends first."""
    reading = kills // 2 if recipe == "dual_distillation" else 0
    moments = [Moment("reading", chance.randint(1, cases), chance.uniform(0, 0.03)) for _ in range(reading)]
    late = max(1, (steps - 4) // (kills - reading + 1))
    return moments + [Moment("step", chance.randint(1, late), chance.uniform(0, 0.03)) for _ in range(kills - reading)]


def train_in_child(arguments: dict[str, Any], moment: Moment | None) -> int:
    """Its end: 0, or minus the signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            trainer.train(**arguments, on_event=KillAt(moment))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(base: str, data: str, out: str, settings: str, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    folder = Path(out)
    chosen = TrainSettings.from_dict(json.loads(Path(settings).read_text()))
    arguments: dict[str, Any] = {"base": Path(base), "data": Path(data), "settings": chosen}
    ends = [train_in_child(arguments | {"out": folder / "whole"}, None)]
    events = [json.loads(line) for line in (folder / "whole" / PROGRESS_FILE).read_text().splitlines()]
    cases, steps = (sum(event["kind"] == kind for event in events) for kind in ("reading", "step"))
    moments = choose_moments(chosen.recipe, cases, steps, kills, random.Random(seed))
    watch_passes(folder / PASSES)
    ends += [train_in_child(arguments | {"out": folder / "killed"}, moment) for moment in [*moments, None]]
    print(json.dumps({"ends": ends, "moments": [asdict(moment) for moment in moments]}))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6]))
