"""Epochs of dual distillation with kept hidden states against a straightforward trainer, on synthetic cases.

The straightforward one does what the public reference does with a frozen backbone: it runs the whole backbone for every
case in every epoch, makes logits for every position, and takes both cross-entropies from them (transformers' own on the
unbiased logits, then that of the biased ones). It is timed on fewer cases; every case is equally long, so its epoch is
that time scaled up.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.budget import Budget, OutOfTime
from bench.gpu_generation import peak, reset_peak
from bench.gpu_model import Shape, draw_noise, words_of
from bench.reporting import note
from modelhub.ml.hidden_cache import HiddenCache
from modelhub.ml.loading import LoadedModel
from modelhub.ml.losses import Counts
from modelhub.ml.processor import Message
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train import fill, make_plan, prepare_model
from modelhub.ml.train_batches import Encoder, Source, collate
from modelhub.ml.train_data import TrainRecord, teacher_file
from modelhub.ml.train_loop import Event, Plan, Progress, TrainLoop, compute_terms
from modelhub.ml.train_settings import TrainSettings

PICTURES = 16
ROWS = 2  # cases that the straightforward trainer takes at once: their logits must fit
EPOCHS = 2


def measure_training(loaded: LoadedModel, shape: Shape, folder: Path, budget: Budget) -> dict[str, Any]:
    """Seconds of a first epoch (hidden states computed), a later one, and a straightforward one; None where the time
    did not allow it."""
    records = make_records(loaded, shape, folder)
    settings = TrainSettings(
        recipe="dual_distillation",
        epochs=EPOCHS,
        batch=8,
        grad_accumulation=max(1, min(16, len(records) // 8)),
        device=str(loaded.model.device),
        precision=shape.precision,  # type: ignore[arg-type]
    )
    prepare_model(loaded, settings)
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    plan = make_plan(loaded.model, records, encoder, settings)
    found: dict[str, Any] = {"cases": len(records), "visual_tokens": int(np.prod(shape.visual[-1]))}
    found |= {"answer_tokens": plan.counts[records[0].line].tokens, "complete": False}
    try:
        found |= straightforward(loaded, plan, encoder, records[: shape.straightforward_cases], budget)
        found |= cached(loaded, plan, encoder, folder, budget)
        found["complete"] = found["later_epoch_s"] is not None
    except OutOfTime as error:
        note(f"training: {error}")
    return found | ratios(found)


def make_records(loaded: LoadedModel, shape: Shape, folder: Path) -> list[TrainRecord]:
    """Cases of equal length; pictures come round again, answers do not."""
    rng = np.random.default_rng(0)
    images = draw_noise(folder, *shape.visual[-1], PICTURES)
    assert loaded.model.branch is not None
    for image in images:
        np.save(teacher_file(image), rng.standard_normal(loaded.model.branch.config.teacher_width).astype(np.float32))
    records = []
    for number in range(shape.cases):
        prompt = words_of(loaded.processor, shape.prompt_tokens, 0)
        answer = words_of(loaded.processor, shape.answer_tokens, number + 1)
        image = images[number % len(images)]
        records.append(TrainRecord(number + 1, (Message("user", prompt),), answer, (image,), number % 3))
    return records


def straightforward(
    loaded: LoadedModel, plan: Plan, encoder: Encoder, records: Sequence[TrainRecord], budget: Budget
) -> dict[str, Any]:
    note(f"training, straightforward: {len(records)} cases")
    trainable = [p for p in loaded.model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trainable]
    optimizer = torch.optim.AdamW(trainable, lr=plan.settings.lr)
    reset_peak(loaded)
    done, losses, began = 0, [], time.perf_counter()
    for start in range(0, len(records), ROWS):
        part = records[start : start + ROWS]
        losses.append(straightforward_step(loaded.model, part, plan, encoder, optimizer))
        done += len(part)
        budget.check()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        for parameter, value in zip(trainable, before, strict=True):
            parameter.copy_(value)
    note(f"  {seconds / done:.3f} s a case")
    return {
        "straightforward_cases": done,
        "straightforward_s_per_case": round(seconds / done, 4),
        "straightforward_epoch_s": round(seconds / done * len(plan.records), 2),
        "straightforward_peak_bytes": peak(loaded),
        "straightforward_first_loss": losses[0],
    }


def straightforward_step(
    model: SkinGPT, records: Sequence[TrainRecord], plan: Plan, encoder: Source, optimizer: torch.optim.Optimizer
) -> float:
    """One step as the reference takes it; the loss of the answer before it."""
    batch = {k: v.to(model.device) for k, v in collate(records, encoder, plan.teacher_width).items()}
    rows = torch.arange(len(records), device=model.device)
    assert model.branch is not None
    branch, bias = model.branch_bias(
        batch["pixel_values"], batch["image_grid_thw"], rows.repeat_interleave(batch["images_per_row"]), len(rows)
    )
    labels = torch.full_like(batch["input_ids"], -100)
    labels[batch["scored"].bool().roll(1, dims=1)] = batch["targets"]
    logits = model.qwen.lm_head(model.hidden_states(batch))
    unbiased = shifted_loss(logits, labels)
    mask = batch["scored"].bool()[..., None]
    over_vocabulary = model.qwen.lm_head(bias.to(logits.dtype))[:, None, :]
    answer = shifted_loss(logits + over_vocabulary * mask, labels)
    counts = Counts.total(plan.counts[record.line] for record in records)
    terms = branch_terms(branch, batch, counts)
    total = (
        plan.settings.weights.answer * answer
        + 0.0 * unbiased
        + sum(weight * term for weight, term in zip(weights_of(plan), terms, strict=True))
    )
    total.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(answer.detach())


def shifted_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float()[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def branch_terms(branch: Any, batch: dict[str, Tensor], counts: Counts) -> list[Tensor]:
    distance = 1 - functional.cosine_similarity(branch.vision_proj, batch["teacher"])
    skin = functional.cross_entropy(branch.skin_logits, batch["skin_labels"])
    return [10 * distance.sum() / counts.teachers, branch.balance.sum() / counts.images, skin]


def weights_of(plan: Plan) -> list[float]:
    weights = plan.settings.weights
    return [weights.distill, weights.balance, weights.skin]


def cached(loaded: LoadedModel, plan: Plan, encoder: Encoder, folder: Path, budget: Budget) -> dict[str, Any]:
    """The product's own loop: hidden states of every case, then every epoch's steps."""
    note(f"training, kept hidden states: {len(plan.records)} cases, {plan.settings.epochs} epochs")
    marks: dict[str, float] = {}
    seen = {"done": 0}

    def on_event(event: Event) -> None:
        if event["kind"] == "reading":
            seen["done"] = event["done"]
            marks["read"] = time.perf_counter()
        if event["kind"] == "step" and event["step"] % plan.steps_per_epoch == 0:
            marks[f"epoch {event['step'] // plan.steps_per_epoch}"] = time.perf_counter()
        budget.check()

    out = folder / "training"
    out.mkdir()
    loop = TrainLoop(loaded.model, plan, out, on_event)
    hidden = HiddenCache(folder / "hidden", loaded, encoder)

    def source(progress: Progress) -> Source:
        fill(hidden, plan.records, progress)
        return hidden

    first = first_loss(loaded, plan, HiddenCache(folder / "probe", loaded, encoder))
    reset_peak(loaded)
    marks["begin"] = time.perf_counter()
    try:
        loop.to_the_end(source)
    except OutOfTime as error:
        note(f"training: {error}")
    found = durations(marks, seen["done"], plan)
    note(f"  {found}")
    return found | {"cached_peak_bytes": peak(loaded), "cached_first_loss": first}


def first_loss(loaded: LoadedModel, plan: Plan, hidden: HiddenCache) -> float:
    """What the straightforward trainer's first step saw, from kept hidden states."""
    part = plan.records[:ROWS]
    batch = {k: v.to(loaded.model.device) for k, v in collate(part, hidden, plan.teacher_width).items()}
    counts = Counts.total(plan.counts[record.line] for record in part)
    with torch.no_grad():
        return float(compute_terms(loaded.model, batch, counts, with_branch=True).answer)


def durations(marks: dict[str, float], done: int, plan: Plan) -> dict[str, Any]:
    """`fill_s`: hidden states of `filled_cases`; `first_epoch_s` with it; `later_epoch_s` without the backbone."""

    def between(start: str, end: str) -> float | None:
        return round(marks[end] - marks[start], 3) if start in marks and end in marks else None

    return {
        "filled_cases": done,
        "fill_s": between("begin", "read"),
        "first_epoch_s": between("begin", "epoch 1") if done == len(plan.records) else None,
        "later_epoch_s": between("epoch 1", "epoch 2"),
    }


def ratios(found: dict[str, Any]) -> dict[str, float | None]:
    """Straightforward by cached: of a later epoch, of ten epochs (one first and nine later ones)."""
    plain, first, later = (found.get(key) for key in ("straightforward_epoch_s", "first_epoch_s", "later_epoch_s"))
    return {
        "ratio_first_epoch": round(plain / first, 2) if plain and first else None,
        "ratio_later_epoch": round(plain / later, 2) if plain and later else None,
        "ratio_10_epochs": round(10 * plain / (first + 9 * later), 2) if plain and first and later else None,
    }
