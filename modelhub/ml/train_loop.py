"""The loop: what a step is, how it is counted, where it is kept. It knows nothing of where batches come from."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from modelhub.ml.answer_head import answer_loss, bias_rows
from modelhub.ml.losses import Counts, LossTerms, distillation_loss, skin_loss, sum_terms
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_batches import Source, collate, cut, epoch_order
from modelhub.ml.train_checkpoint import keep_progress, restore_checkpoint, save_checkpoint
from modelhub.ml.train_data import TrainRecord
from modelhub.ml.train_settings import TrainSettings

PROGRESS_FILE = "progress.jsonl"
CHECKPOINT_FOLDER = "checkpoint"
Event = dict[str, Any]


class TrainingError(RuntimeError):
    """A run that must stop; the message says why and at which step."""


class Progress:
    """`progress.jsonl`: a line of JSON per event, each also given to `on_event`. Kinds: `start` (what is trainable),
    `reading` (`done` of `total` cases), `step` (losses, unweighted), `notice` (`text` for people)."""

    def __init__(self, stream: TextIO, on_event: Callable[[Event], None] | None) -> None:
        self._stream = stream
        self._on_event = on_event
        self.notices: list[str] = []

    def tell(self, kind: str, **content: Any) -> None:
        event = {"kind": kind, **content}
        if kind == "notice":
            self.notices.append(content["text"])
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()
        if self._on_event:
            self._on_event(event)


@dataclass(frozen=True)
class Plan:
    """`counts`: by record's line. `teacher_width`: None where no teacher is asked. `steps` in all."""

    records: Sequence[TrainRecord]
    counts: dict[int, Counts]
    teacher_width: int | None
    settings: TrainSettings

    @property
    def teacher_features(self) -> dict[str, int] | None:
        """Images with and without; None where no teacher is asked."""
        if self.teacher_width is None:
            return None
        counts = Counts.total(self.counts.values())
        return {"present": counts.teachers, "missing": counts.images - counts.teachers}

    @property
    def step_size(self) -> int:
        return self.settings.batch * self.settings.grad_accumulation

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.records) / self.step_size)

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.settings.epochs

    def remaining(self, done: int) -> Iterator[tuple[int, Sequence[TrainRecord]]]:
        """Number (from 1) and records of every step after `done`."""
        for epoch in range(done // self.steps_per_epoch, self.settings.epochs):
            order = epoch_order(self.records, seed=self.settings.seed, epoch=epoch)
            for number, records in enumerate(cut(order, self.step_size), epoch * self.steps_per_epoch + 1):
                if number > done:
                    yield number, records


def compute_terms(model: SkinGPT, batch: dict[str, Tensor], counts: Counts, *, with_branch: bool) -> LossTerms:
    """A batch's share of its step's loss terms; the branch's own terms only where it is trained.

    `batch` as `collate` makes it, `counts` of the whole step.
    """
    branch, bias = None, None
    if model.branch is not None and "pixel_values" in batch:
        rows = torch.arange(len(batch["images_per_row"]), device=model.device)
        image_rows = rows.repeat_interleave(batch["images_per_row"], output_size=len(batch["image_grid_thw"]))
        branch, bias = model.branch_bias(batch["pixel_values"], batch["image_grid_thw"], image_rows, len(rows))
    hidden = batch["hidden"] if "hidden" in batch else model.hidden_states(batch)[batch["scored"]]
    places = bias_rows(batch["answer_lengths"], len(hidden), model.bias_mode)
    loss = answer_loss(hidden, model.qwen.lm_head.weight, batch["targets"], bias=bias, bias_rows=places)
    terms = LossTerms(loss / counts.tokens)
    if with_branch and branch is not None:
        terms.distill = distillation_loss(
            branch.vision_proj, batch["teacher"], batch["teacher_present"], counts.teachers
        )
        if branch.balance is not None:
            terms.balance = branch.balance.sum() / counts.images
        if branch.skin_logits is not None:
            terms.skin = skin_loss(branch.skin_logits, batch["skin_labels"], counts.labels)
    return terms


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Linear warm-up, then cosine to zero; `step` counts from 1."""
    warmup = math.ceil(settings.warmup * steps)
    if step <= warmup:
        return settings.lr * step / warmup
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - 1 - warmup) / max(1, steps - warmup)))


class TrainLoop:
    """Weights, optimizer and where they stand. `trainable`: parameters by name."""

    def __init__(self, model: SkinGPT, plan: Plan, out: Path, on_event: Callable[[Event], None] | None) -> None:
        self.model, self.plan, self.out, self.on_event = model, plan, out, on_event
        self.batch = plan.settings.batch
        self.trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.trainable.values(), lr=plan.settings.lr, weight_decay=plan.settings.weight_decay, fused=True
        )

    def trainable_counts(self) -> dict[str, int]:
        """Numbers that learn, by part."""
        counts = {"lora": 0, "branch": 0}
        for name, parameter in self.trainable.items():
            counts["branch" if name.startswith("branch.") else "lora"] += parameter.numel()
        return {part: count for part, count in counts.items() if count}

    def to_the_end(self, source: Callable[[Progress], Source]) -> tuple[dict[str, float | None], list[str]]:
        """Every step not yet done; the loss terms of the last one and the run's notices."""
        path, folder = self.out / PROGRESS_FILE, self.out / CHECKPOINT_FOLDER
        done = restore_checkpoint(folder, trainable=self.trainable, optimizer=self.optimizer)
        kept = keep_progress(path, done)
        metrics: dict[str, float | None] = next((e["losses"] for e in reversed(kept) if e["kind"] == "step"), {})
        with path.open("a", encoding="utf-8") as stream:
            progress = Progress(stream, self.on_event)
            progress.notices += [event["text"] for event in kept if event["kind"] == "notice"]
            told = {"trainable": self.trainable_counts(), "teacher_features": self.plan.teacher_features}
            progress.tell("start", **told, steps=self.plan.steps, done=done)
            examples = source(progress)
            for step, records in self.plan.remaining(done):
                event = self._take_step(step, records, examples, progress)
                metrics = event["losses"]
                progress.tell("step", **event)
                if step % self.plan.settings.checkpoint_every_steps == 0 or step == self.plan.steps:
                    save_checkpoint(folder, step=step, trainable=self.trainable, optimizer=self.optimizer)
        self._refuse_broken_weights()
        return metrics, progress.notices

    def _take_step(
        self, step: int, records: Sequence[TrainRecord], source: Source, progress: Progress
    ) -> dict[str, Any]:
        began = time.perf_counter()
        losses = self._gradients_in_memory(step, records, source, progress)
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.plan.settings.max_grad_norm)
        if not bool(norm.isfinite()):
            raise TrainingError(f"the gradient is not a number at step {step}; nothing was kept of it")
        rate = learning_rate(step, self.plan.steps, self.plan.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "step": step,
            "steps": self.plan.steps,
            "epoch": round(step / self.plan.steps_per_epoch, 4),
            "losses": losses,
            "lr": rate,
            "gradient_norm": float(norm),
            "seconds": round(time.perf_counter() - began, 4),
        }

    def _gradients_in_memory(
        self, step: int, records: Sequence[TrainRecord], source: Source, progress: Progress
    ) -> dict[str, float | None]:
        """The step's gradients; out of memory, once more in batches of half the size: the step stays the same."""
        try:
            return self._gradients(step, records, source)
        except torch.OutOfMemoryError:
            halved = self.batch < self.plan.settings.batch
        if halved or self.batch == 1:
            raise TrainingError(
                f"out of memory at step {step} with {self.batch} cases at once: set batch to 1, shorten max_length, "
                "or use a card with more memory"
            )
        self.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before, self.batch = self.batch, math.ceil(self.batch / 2)
        text = f"Out of memory at step {step}: {self.batch} cases at once instead of {before}; steps stay as they were."
        progress.tell("notice", step=step, text=text)
        return self._gradients_in_memory(step, records, source, progress)

    def _gradients(self, step: int, records: Sequence[TrainRecord], source: Source) -> dict[str, float | None]:
        """Added up over the step's batches; the step's loss terms."""
        settings = self.plan.settings
        counts = Counts.total(self.plan.counts[record.line] for record in records)
        shares = []
        for part in cut(records, self.batch):
            batch = collate(part, source, self.plan.teacher_width)
            batch = {name: value.to(self.model.device) for name, value in batch.items()}
            terms = compute_terms(self.model, batch, counts, with_branch=settings.trains_branch)
            total = terms.total(settings.weights)
            numbers = terms.numbers() | {"total": float(total.detach())}
            if not math.isfinite(numbers["total"] or 0.0):
                raise TrainingError(f"the loss is not a number at step {step}: {numbers}; nothing was kept of it")
            total.backward()
            shares.append(numbers)
        return sum_terms(shares)

    def _refuse_broken_weights(self) -> None:
        if broken := [name for name, p in self.trainable.items() if not bool(p.isfinite().all())]:
            raise TrainingError(f"the last step left {broken[0]} not a number; nothing was kept of it")
