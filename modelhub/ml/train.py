"""Fine-tuning: LoRA in the language model, the side branch, or both. Killed at any moment, it resumes.

Output folder: `run.json` (what the run is), `progress.jsonl` (a line per step), `checkpoint/`, at the end `adapter/`.
"""

import fcntl
import importlib.metadata
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelhub.ml.adapter_files import wrap_with_lora, write_adapter
from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.losses import LossTerms, answer_loss, distillation_loss, skin_loss
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_checkpoint import keep_progress, restore_checkpoint, save_checkpoint, write_json
from modelhub.ml.train_data import (
    Encoder,
    TrainRecord,
    count_teacher_features,
    epoch_batches,
    hash_dataset,
    read_records,
)
from modelhub.ml.train_settings import TrainSettings

LORA_TARGETS = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
PROGRESS_FILE = "progress.jsonl"
RUN_FILE = "run.json"
ADAPTER_FOLDER = "adapter"
LOCK_FILE = ".lock"


class TrainingError(RuntimeError):
    """A run that must stop; the message says why and at which step."""


@dataclass
class TrainResult:
    """`metrics`: loss terms of the last step (unweighted, None where a term had no input)."""

    adapter: Path
    steps: int
    metrics: dict[str, float | None]
    trainable_parameters: int


def train(
    *,
    base: Path,
    data: Path,
    out: Path,
    settings: TrainSettings,
    start_adapter: Path | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> TrainResult:
    """Train and write `out/adapter`; called again on the same `out`, resume, or return the finished result.

    `on_step` receives each line of progress.jsonl; what it raises stops the run, which can be resumed. Where another
    process is at work in `out` (left over by a worker that was killed), wait for it.
    Raises DatasetError, CheckpointError, TrainingError (NaN, or `out` belongs to another run).
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _train_alone(base, data, out, settings, start_adapter, on_step)


def _train_alone(
    base: Path,
    data: Path,
    out: Path,
    settings: TrainSettings,
    start_adapter: Path | None,
    on_step: Callable[[dict[str, Any]], None] | None,
) -> TrainResult:
    records = read_records(data)
    loaded = load(
        LoadSpec(base, start_adapter, precision=settings.precision, device=settings.device), merge_adapter=False
    )
    identity = describe_run(loaded, data, records, settings)
    claim_folder(out, identity)
    if (out / ADAPTER_FOLDER).is_dir():
        return read_result(out / ADAPTER_FOLDER)
    torch.manual_seed(settings.seed)
    branch_origin = prepare_model(loaded, settings)
    run = _Run(loaded, records, out, settings, on_step)
    metrics = run.to_the_end()
    provenance = identity | {
        "branch": branch_origin,
        "metrics": metrics,
        "steps": run.steps,
        "trainable_parameters": run.trainable_count,
        "teacher_features": run.teacher_features,
        "notes": loaded.identity.notes,
    }
    write_adapter(out / ADAPTER_FOLDER, loaded.model, provenance)
    return TrainResult(out / ADAPTER_FOLDER, run.steps, metrics, run.trainable_count)


def describe_run(
    loaded: LoadedModel, data: Path, records: Sequence[TrainRecord], settings: TrainSettings
) -> dict[str, Any]:
    packages = ("torch", "transformers", "peft")
    return {
        "base_sha256": loaded.identity.weights_sha256,
        "start_adapter_sha256": loaded.identity.adapter_sha256,
        "dataset_sha256": hash_dataset(data, records),
        "records": len(records),
        "settings": settings.to_dict(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def claim_folder(out: Path, identity: dict[str, Any]) -> None:
    if not (out / RUN_FILE).exists():
        write_json(out / RUN_FILE, identity)
        return
    recorded = json.loads((out / RUN_FILE).read_text())
    if changed := sorted(key for key in identity if recorded.get(key) != json.loads(json.dumps(identity[key]))):
        raise TrainingError(f"{out} belongs to another run ({', '.join(changed)} differ): choose an empty folder")


def prepare_model(loaded: LoadedModel, settings: TrainSettings) -> str | None:
    """Add what the recipe trains and let only that have gradients; where the branch came from, None without one."""
    model = loaded.model
    origin = "loaded" if model.branch is not None else None
    if settings.trains_lora:
        add_lora(model, settings)
        for name, parameter in model.backbone.named_parameters():
            parameter.requires_grad_("lora_" in name)
    if settings.trains_branch:
        if model.branch is None:
            model.branch = new_branch(model, settings).to(settings.device)
            origin = "new"
        if model.bias_mode == "off":
            model.bias_mode = "all_steps"
        model.branch.requires_grad_(True)
    return origin


def add_lora(model: SkinGPT, settings: TrainSettings) -> None:
    from peft import LoraConfig, PeftModel

    if isinstance(model.backbone, PeftModel):
        config = model.backbone.peft_config["default"]
        if (config.r, config.lora_alpha) != (settings.rank, settings.alpha):
            raise TrainingError(
                f"the start adapter has rank {config.r} and alpha {config.lora_alpha}, the settings say "
                f"{settings.rank} and {settings.alpha}: set them alike"
            )
        return
    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules=LORA_TARGETS)
    model.backbone = wrap_with_lora(model.backbone, config)
    model.eval()


def new_branch(model: SkinGPT, settings: TrainSettings) -> SkinBranch:
    config, vision = model.qwen.config, model.qwen.config.vision_config
    own = {"hidden", "patch_dim"}
    allowed = {f.name for f in fields(SkinBranchConfig)} - own
    if unknown := sorted(set(settings.branch_sizes) - allowed):
        raise TrainingError(f"unknown branch_sizes: {', '.join(unknown)}; known are {', '.join(sorted(allowed))}")
    patch_dim = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    return SkinBranch(
        SkinBranchConfig(hidden=config.text_config.hidden_size, patch_dim=patch_dim, **settings.branch_sizes)
    )


def compute_terms(model: SkinGPT, batch: dict[str, Tensor], *, with_branch: bool) -> LossTerms:
    """Loss terms of one batch as Encoder.collate makes it; the branch's own terms only where it is trained."""
    names = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw", "scored")
    output = model(**{name: batch[name] for name in names if name in batch})
    terms = LossTerms(answer_loss(output.logits, batch["targets"]))
    if with_branch and output.branch is not None:
        terms.balance = output.branch.balance.mean()
        terms.skin = skin_loss(output.branch.skin_logits, batch["skin_labels"])
        terms.distill = distillation_loss(output.branch.vision_proj, batch["teacher"], batch["teacher_present"])
    return terms


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Linear warm-up, then cosine to zero; `step` counts from 1."""
    warmup = math.ceil(settings.warmup * steps)
    if step <= warmup:
        return settings.lr * step / warmup
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - 1 - warmup) / max(1, steps - warmup)))


class _Run:
    """The loop and what it carries from step to step."""

    def __init__(
        self,
        loaded: LoadedModel,
        records: Sequence[TrainRecord],
        out: Path,
        settings: TrainSettings,
        on_step: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self.model, self.records, self.out, self.settings, self.on_step = loaded.model, records, out, settings, on_step
        self.trainable = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.trainable_count = sum(p.numel() for p in self.trainable.values())
        self.optimizer = torch.optim.AdamW(
            self.trainable.values(), lr=settings.lr, weight_decay=settings.weight_decay, betas=(0.9, 0.999)
        )
        branch = self.model.branch
        teacher_width = branch.config.teacher_width if branch is not None and settings.trains_branch else None
        self.encoder = Encoder(
            loaded.processor,
            loaded.tokenizer.eos_token_id,
            max_length=settings.max_length,
            teacher_width=teacher_width,
        )
        self.encoder.check_lengths(records)
        self.teacher_features = count_teacher_features(records, teacher_width) if teacher_width else None
        batches = math.ceil(len(records) / settings.batch)
        self.steps_per_epoch = math.ceil(batches / settings.grad_accumulation)
        self.steps = self.steps_per_epoch * settings.epochs

    def to_the_end(self) -> dict[str, float | None]:
        """Every step not yet done; loss terms of the last one."""
        checkpoint, progress = self.out / "checkpoint", self.out / PROGRESS_FILE
        done = restore_checkpoint(checkpoint, trainable=self.trainable, optimizer=self.optimizer)
        kept = keep_progress(progress, done)
        metrics: dict[str, float | None] = kept[-1]["losses"] if kept else {}
        with progress.open("a", encoding="utf-8") as stream:
            for step, group in self._remaining_steps(done):
                entry = self._take_step(step, group)
                metrics = entry["losses"]
                stream.write(json.dumps(entry) + "\n")
                stream.flush()
                if step % self.settings.checkpoint_every_steps == 0 or step == self.steps:
                    save_checkpoint(checkpoint, step=step, trainable=self.trainable, optimizer=self.optimizer)
                if self.on_step:
                    self.on_step(entry)
        return metrics

    def _remaining_steps(self, done: int) -> Iterator[tuple[int, list[list[TrainRecord]]]]:
        for epoch in range(done // self.steps_per_epoch, self.settings.epochs):
            batches = epoch_batches(self.records, self.settings.batch, seed=self.settings.seed, epoch=epoch)
            for number in range(1, self.steps_per_epoch + 1):
                group = list(islice(batches, self.settings.grad_accumulation))
                step = epoch * self.steps_per_epoch + number
                if step > done:
                    yield step, group

    def _take_step(self, step: int, group: list[list[TrainRecord]]) -> dict[str, Any]:
        began = time.perf_counter()
        numbers = []
        for records in group:
            batch = {name: v.to(self.model.device) for name, v in self.encoder.collate(records).items()}
            terms = compute_terms(self.model, batch, with_branch=self.settings.trains_branch)
            total = terms.total(self.settings.weights)
            if not bool(total.isfinite()):
                raise TrainingError(
                    f"the loss is not a number at step {step}: {terms.numbers()}; nothing was kept of it"
                )
            (total / len(group)).backward()
            numbers.append(terms.numbers() | {"total": float(total.detach())})
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.settings.max_grad_norm)
        if not bool(norm.isfinite()):
            raise TrainingError(f"the gradient is not a number at step {step}; nothing was kept of it")
        rate = learning_rate(step, self.steps, self.settings)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "step": step,
            "steps": self.steps,
            "epoch": round(step / self.steps_per_epoch, 4),
            "losses": mean_terms(numbers),
            "lr": rate,
            "gradient_norm": float(norm),
            "seconds": round(time.perf_counter() - began, 4),
        }


def mean_terms(numbers: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Mean of each term over the batches that had it."""
    means: dict[str, float | None] = {}
    for name in numbers[0]:
        values = [entry[name] for entry in numbers if entry[name] is not None]
        means[name] = sum(values) / len(values) if values else None  # type: ignore[arg-type]
    return means


def read_result(adapter: Path) -> TrainResult:
    recorded = json.loads((adapter / "provenance.json").read_text())
    return TrainResult(adapter, recorded["steps"], recorded["metrics"], recorded["trainable_parameters"])
