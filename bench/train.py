"""`make bench-train`: our trainer of the side branch against a straightforward one, step by step in one process.

Both train the same branch on the same cases in the same order; after each step of ours the straightforward trainer
takes its own, so that both meet the same load of the machine. Processor seconds are this process's own. Ten epochs of
ours hold the one pass of the backbone over all cases. Beside it: peak memory of the head, the same with the released
vocabulary of 152,064 words, and the multiplications at 7 B (counted, not measured).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from bench.gpu_model import Shape, make_model
from bench.reporting import conditions, finish, in_words, note, table
from bench.train_operations import ratio
from bench.train_reference import StraightforwardTrainer
from bench.train_shape import FIXED, FULL_VOCABULARY, PATCHES, SCORED, make_records, with_vocabulary
from modelhub.ml.hidden_cache import HiddenCache
from modelhub.ml.train import fill, make_plan, prepare_model
from modelhub.ml.train_batches import Encoder, Source
from modelhub.ml.train_loop import Event, Plan, Progress, TrainLoop
from modelhub.ml.train_settings import TrainSettings

EPOCHS, LR, BATCH = 10, 1e-3, 8
FULL_CASES, FULL_BATCH, FULL_EPOCHS = 4, 2, 3
HEAD_ROWS = 8


@dataclass
class Found:
    """Processor seconds by epoch of both trainers, `fill` of the pass before the first; largest relative difference of
    any loss term at any step."""

    parameters: int
    head: int
    fill: float = 0.0
    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    difference: float = 0.0

    @property
    def ratio_all(self) -> float:
        return sum(self.plain) / (self.fill + sum(self.ours))

    @property
    def ratio_later(self) -> float:
        return sum(self.plain[1:]) / sum(self.ours[1:])


class SideBySide:
    """Listens to our loop: stops its clock at each step, lets the other trainer take the same step, starts it again."""

    def __init__(self, found: Found, plan: Plan, other: StraightforwardTrainer) -> None:
        self.found, self.plan, self.other = found, plan, other
        self.steps: Iterator[Any] = plan.remaining(0)
        self.since = 0.0

    def __call__(self, event: Event) -> None:
        spent = time.process_time() - self.since
        if event["kind"] == "reading":
            self.found.fill += spent
        elif event["kind"] == "step":
            self.compare(event, spent)
        self.since = time.process_time()

    def compare(self, event: Event, ours: float) -> None:
        step, records = next(self.steps)
        began = time.process_time()
        losses = self.other.take_step(step, records)
        plain = time.process_time() - began
        if (step - 1) % self.plan.steps_per_epoch == 0:
            self.found.ours.append(0.0)
            self.found.plain.append(0.0)
        self.found.ours[-1] += ours
        self.found.plain[-1] += plain
        apart = max(abs(event["losses"][name] - value) / abs(value) for name, value in losses.items())
        self.found.difference = max(self.found.difference, apart)
        note(f"  step {step} of {self.plan.steps}: {ours:.2f} s, straightforward {plain:.2f} s, {apart:.1e} apart")


def measure(shape: Shape, cases: int, batch: int, epochs: int, folder: Path) -> Found:
    loaded = make_model(shape, "cpu")
    network = loaded.model.qwen
    found = Found(sum(p.numel() for p in network.parameters()), network.lm_head.weight.numel())
    note(f"{found.parameters:,} numbers, {found.head / found.parameters:.1%} of them in the head; {cases} cases")
    records = make_records(loaded, cases, folder / "data")
    settings = TrainSettings(recipe="dual_distillation", epochs=epochs, lr=LR, batch=batch, grad_accumulation=1)
    prepare_model(loaded, settings)
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    plan = make_plan(loaded.model, records, encoder, settings)
    check_shape(plan, encoder)
    other = StraightforwardTrainer(loaded.model, plan, encoder)
    (folder / "out").mkdir()
    loop = TrainLoop(loaded.model, plan, folder / "out", SideBySide(found, plan, other))

    def source(progress: Progress) -> Source:
        hidden = HiddenCache(folder / "hidden", loaded, Encoder(loaded.processor, loaded.tokenizer.eos_token_id))
        fill(hidden, records, progress)
        return hidden

    loop.to_the_end(source)
    return found


def check_shape(plan: Plan, encoder: Encoder) -> None:
    """The figures mean nothing for another shape than they name."""
    for record in plan.records:
        example = encoder.encode(record)
        sizes = (len(example["pixel_values"]), plan.counts[record.line].tokens, example["input_ids"].shape[1])
        if sizes != (PATCHES, SCORED, 80):
            raise ValueError(f"a case has {sizes} patches, scored and prompt tokens; wanted are {PATCHES, SCORED, 80}")


def head_memory(way: str) -> int:
    command = [sys.executable, "-m", "bench.train_head", way, str(HEAD_ROWS)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "fixed").mkdir()
        found = measure(FIXED, options.cases, BATCH, EPOCHS, Path(scratch) / "fixed")
        full = None
        if not options.no_full_vocabulary:
            (Path(scratch) / "full").mkdir()
            shape = with_vocabulary(FIXED, FULL_VOCABULARY)
            full = measure(shape, FULL_CASES, FULL_BATCH, FULL_EPOCHS, Path(scratch) / "full")
    memory = {way: head_memory(way) for way in ("straightforward", "ours")}
    result = {
        "ratio_10_epochs": round(found.ratio_all, 2),
        "ratio_later_epochs": round(found.ratio_later, 2),
        "head_memory_ratio": round(memory["straightforward"] / memory["ours"], 2),
        "max_rel_loss_diff": found.difference,
        "operations_ratio_7b": round(ratio(), 2),
        "backbone_parameters": found.parameters,
        "head_share": round(found.head / found.parameters, 4),
        "patches": PATCHES,
        "scored_tokens": SCORED,
        "cases": options.cases,
        "ratio_later_epochs_full_vocabulary": round(full.ratio_later, 2) if full else None,
    }
    print(in_words(conditions("torch", "transformers")) + f" · {options.threads} thread(s)\n")
    print(figures(found, full, memory))
    finish(result)
    return 0


def figures(found: Found, full: Found | None, memory: dict[str, int]) -> str:
    sizes = memory["straightforward"], memory["ours"]
    rows: list[list[object]] = [
        [f"{EPOCHS} epochs, CPU-s", sum(found.plain), found.fill + sum(found.ours), found.ratio_all],
        ["of these, the backbone's one pass", None, found.fill, None],
        ["a later epoch, CPU-s", mean(found.plain[1:]), mean(found.ours[1:]), found.ratio_later],
        ["peak memory of the head, MB", *(size / 1e6 for size in sizes), sizes[0] / sizes[1]],
        ["7 B: multiplications of 10 epochs (counted)", None, None, ratio()],
    ]
    if full:
        seconds = mean(full.plain[1:]), mean(full.ours[1:])
        rows.append([f"152,064 words, {FULL_CASES} cases: a later epoch, CPU-s", *seconds, full.ratio_later])
    return table(("", "straightforward", "ours", "ratio"), rows)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.train", description=__doc__)
    made.add_argument("--cases", type=int, default=FIXED.cases, help="cases of the fixed shape (default 8)")
    made.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default 1)")
    made.add_argument("--no-full-vocabulary", action="store_true", help="leave the second shape out")
    return made


if __name__ == "__main__":
    sys.exit(main())
