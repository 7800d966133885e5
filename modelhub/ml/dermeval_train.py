"""Train DermEval (arXiv 2511.09195) from physicians' critiques: supervised, then score-oriented REINFORCE.

Output folder: `run.json` (what the run is), and per stage `sft/` and `rl/` with `progress.jsonl` (a line per step),
`checkpoint/`, at the end `adapter/`, and then `lines.json`, the lines of its fitted reading. Both adapters stay:
`sft/adapter` is the ablation. Killed at any moment, a stage goes on from its last checkpoint, the moving baseline
included.
"""

import fcntl
import importlib.metadata
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelhub.ml.adapter_files import wrap_with_lora, write_adapter
from modelhub.ml.backends.base import Failure, GenerationSettings
from modelhub.ml.checkpoint_files import read_json
from modelhub.ml.dermeval_data import RatedNarrative, hash_rated, read_rated
from modelhub.ml.dermeval_lines import LINES_FILE, FittedLines, fit_lines, hold_out, read_lines, write_lines
from modelhub.ml.dermeval_rows import AnsweredPrompts
from modelhub.ml.dermeval_score import score_narratives
from modelhub.ml.dermeval_settings import DermEvalSettings
from modelhub.ml.dermeval_stages import Reinforced, Stage, Supervised, endless_order, request_of
from modelhub.ml.hub_files import HubModel
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import ADAPTER_FOLDER, LOCK_FILE, RUN_FILE, claim_folder
from modelhub.ml.train_checkpoint import keep_progress, restore_checkpoint, save_checkpoint
from modelhub.ml.train_data import DatasetError
from modelhub.ml.train_loop import CHECKPOINT_FOLDER, PROGRESS_FILE, Event, Progress, TrainingError

# every attention and feed-forward projection of the language model, never of the picture side
TARGETS = r"(?!.*(?:visual|vision)).*\.layers\.\d+\.(?:self_attn|mlp)\.(?:q|k|v|o|gate|up|down)_proj"
STAGES = ("sft", "rl")


@dataclass(frozen=True)
class DermEvalResult:
    """`adapters`: folder by stage, `sft` always, `rl` where it had steps. `metrics`: the last step's of each; `lines`:
    of its fitted reading."""

    adapters: Mapping[str, Path]
    metrics: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, FittedLines]


def train_dermeval(
    *,
    base: Path | HubModel,
    data: Path,
    out: Path,
    settings: DermEvalSettings,
    on_event: Callable[[Event], None] | None = None,
) -> DermEvalResult:
    """Train both stages and write `out/sft/adapter` and `out/rl/adapter`; called again on the same `out`, resume, or
    return what is finished.

    `on_event` receives each line of the stages' progress files; what it raises stops the run, which can be resumed.
    Raises DatasetError, CheckpointError, TrainingError (NaN, or `out` belongs to another run).
    """
    rated = read_rated(data)
    learned, held = hold_out(rated, share=settings.fit_share, seed=settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        claimed = False
        for name in STAGES if settings.rl_steps else STAGES[:1]:
            adapter = out / name / ADAPTER_FOLDER
            if not (claimed and adapter.is_dir()):
                start = out / "sft" / ADAPTER_FOLDER if name == "rl" else None
                spec = LoadSpec(base, start, precision=settings.precision, device=settings.device)
                loaded = load(spec, merge_adapter=False)
                if not claimed:
                    claim_folder(out, describe(loaded, data, rated, held, settings))
                    claimed = True
                if not adapter.is_dir():
                    train_stage(name, loaded, learned, settings, out / name, read_json(out / RUN_FILE), on_event)
                del loaded  # the card has room for one
            if not (out / name / LINES_FILE).exists():
                spec = LoadSpec(base, adapter, precision=settings.precision, device=settings.device)
                write_lines(out / name, fit_lines(held, expected_of(spec, held, settings)))
    return read_result(out)


def expected_of(
    spec: LoadSpec, held: Sequence[RatedNarrative], settings: DermEvalSettings
) -> dict[str, Mapping[str, float | None]]:
    """By version what the model expects of held-out narratives. Raises TrainingError where one cannot be scored."""
    if not held:
        return {}
    requests = [request_of(one, settings.prompt) for one in held]
    greedy = GenerationSettings(do_sample=False, max_new_tokens=settings.max_new_tokens, batch_size=settings.batch)
    found: dict[str, Mapping[str, float | None]] = {}
    for one in score_narratives(load(spec), requests, greedy):
        if isinstance(one, Failure):
            raise TrainingError(f"narrative {one.id}, held out for the lines, cannot be scored: {one.sentence}")
        found[one.id] = one.expected
    return found


def describe(
    loaded: LoadedModel,
    data: Path,
    rated: Sequence[RatedNarrative],
    held: Sequence[RatedNarrative],
    settings: DermEvalSettings,
) -> dict[str, Any]:
    """What the run is, as plain data; `cases` lets a later calibration leave them out, those of the lines among
    them."""
    return {
        "kind": "dermeval",
        "base_sha256": loaded.identity.weights_sha256,
        "critiques_sha256": hash_rated(data, rated),
        "cases": sorted({one.case for one in rated}),
        "held_out": sorted({one.case for one in held}),
        "narratives": len(rated),
        "critiques": sum(len(one.physicians) for one in rated),
        "settings": settings.to_dict(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    }


def train_stage(
    name: str,
    loaded: LoadedModel,
    rated: Sequence[RatedNarrative],
    settings: DermEvalSettings,
    out: Path,
    identity: dict[str, Any],
    on_event: Callable[[Event], None] | None,
) -> None:
    out.mkdir(exist_ok=True)
    torch.manual_seed(settings.seed)
    if name == "sft":
        add_lora(loaded, settings)
    for parameter_name, parameter in loaded.model.backbone.named_parameters():
        parameter.requires_grad_("lora_" in parameter_name)
    rows = AnsweredPrompts(loaded)
    refuse_long(rows, rated, settings)
    stage: Stage = (Supervised if name == "sft" else Reinforced)(rows, rated, settings)
    last = StageLoop(loaded.model, stage, settings, out, on_event).to_the_end()
    provenance = identity | {"stage": name, "metrics": last, "steps": stage.steps}
    write_adapter(out / ADAPTER_FOLDER, loaded.model, provenance)


def add_lora(loaded: LoadedModel, settings: DermEvalSettings) -> None:
    from peft import LoraConfig

    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules=TARGETS)
    loaded.model.backbone = wrap_with_lora(loaded.model.backbone, config)
    loaded.model.eval()


def refuse_long(rows: AnsweredPrompts, rated: Sequence[RatedNarrative], settings: DermEvalSettings) -> None:
    """Raises DatasetError for a narrative that with a critique is longer than `max_length` tokens; nothing is cut."""
    for one in rated:
        answer = max(len(rows.answer(who.text)) for who in one.physicians)
        length = rows.length(request_of(one, settings.prompt)) + answer
        if length > settings.max_length:
            raise DatasetError(f"narrative {one.version}: {length} tokens, max_length is {settings.max_length}")


class StageLoop:
    """A stage's steps, its optimizer and where they stand."""

    def __init__(
        self,
        model: nn.Module,
        stage: Stage,
        settings: DermEvalSettings,
        out: Path,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self.stage, self.settings, self.out, self.on_event = stage, settings, out, on_event
        self.trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not self.trainable:
            raise TrainingError("nothing of this model can learn: its language model has no layer that LoRA knows")
        self.optimizer = torch.optim.AdamW(
            self.trainable.values(), lr=stage.lr, weight_decay=settings.weight_decay, fused=True
        )

    def to_the_end(self) -> dict[str, Any]:
        """Every step not yet done; what the last one told."""
        path, folder = self.out / PROGRESS_FILE, self.out / CHECKPOINT_FOLDER
        done = restore_checkpoint(folder, trainable=self.trainable, optimizer=self.optimizer)
        kept = [event for event in keep_progress(path, done) if event["kind"] == "step"]
        told: dict[str, Any] = kept[-1] if kept else {}
        self.stage.resume(kept[-1] if kept else None)
        order = endless_order(self.stage.records, seed=self.settings.seed, size=self.settings.batch, done=done)
        with path.open("a", encoding="utf-8") as stream:
            progress = Progress(stream, self.on_event)
            for number in range(done + 1, self.stage.steps + 1):
                told = self._take_step(number, next(order))
                progress.tell("step", **told)
                if number % self.settings.checkpoint_every_steps == 0 or number == self.stage.steps:
                    save_checkpoint(folder, step=number, trainable=self.trainable, optimizer=self.optimizer)
        return {name: value for name, value in told.items() if name != "kind"}

    def _take_step(self, number: int, chosen: Sequence[int]) -> dict[str, Any]:
        began = time.perf_counter()
        told = self.stage.step(number, chosen)
        norm = nn.utils.clip_grad_norm_(self.trainable.values(), self.settings.max_grad_norm)
        if not bool(norm.isfinite()):
            raise TrainingError(f"the gradient is not a number at step {number} of {self.stage.name}")
        for group in self.optimizer.param_groups:
            group["lr"] = rate(number, self.stage.steps, self.stage.lr, self.settings.warmup)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if any(not bool(p.isfinite().all()) for p in self.trainable.values()):
            raise TrainingError(f"step {number} of {self.stage.name} left a weight not a number; nothing was kept")
        about = {"stage": self.stage.name, "step": number, "steps": self.stage.steps}
        return about | told | {"gradient_norm": float(norm), "seconds": round(time.perf_counter() - began, 4)}


def rate(number: int, steps: int, highest: float, warmup: float) -> float:
    """Linear warm-up, then cosine to zero; `number` counts from 1."""
    rising = math.ceil(warmup * steps)
    if number <= rising:
        return highest * number / rising
    return highest * 0.5 * (1 + math.cos(math.pi * (number - 1 - rising) / max(1, steps - rising)))


def read_result(out: Path) -> DermEvalResult:
    """What is finished in a run's folder."""
    adapters = {name: out / name / ADAPTER_FOLDER for name in STAGES if (out / name / ADAPTER_FOLDER).is_dir()}
    metrics = {name: read_json(folder / "provenance.json")["metrics"] for name, folder in adapters.items()}
    return DermEvalResult(adapters, metrics, {name: read_lines(out / name) for name in adapters})
