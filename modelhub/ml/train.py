"""Fine-tuning: LoRA in the language model, dual distillation of the side branch, or both. Killed at any moment, it
resumes.

Output folder: `run.json` (what the run is), `progress.jsonl` (a line per event), `checkpoint/`, at the end `adapter/`;
`hidden/` where dual distillation keeps the frozen backbone's hidden states and no other folder is given.

Nothing here is global: device and precision come from the settings, batches from (seed, epoch), the loop from a plan.
To start it on several cards with `accelerate launch -m modelhub.ml train …` it would need: an `Accelerator` in
`TrainLoop` (its device, `prepare` of trainable modules and optimizer, `backward`), each process taking its share of a
step's records in `Plan.remaining` (`Counts` are already the whole step's, so summed gradients are the same), and only
the main process writing progress, checkpoints and the adapter.
"""

import fcntl
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from modelhub.ml.adapter_files import wrap_with_lora, write_adapter
from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.hidden_cache import HiddenCache
from modelhub.ml.loading import HubModel, LoadedModel, LoadSpec, load
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_batches import Encoder, Source, count_terms
from modelhub.ml.train_checkpoint import write_json
from modelhub.ml.train_data import (
    TrainRecord,
    find_teacher_width,
    hash_dataset,
    read_records,
    read_teacher_encoder,
)
from modelhub.ml.train_loop import Event, Plan, Progress, TrainingError, TrainLoop
from modelhub.ml.train_settings import TrainSettings

LORA_TARGETS = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
RUN_FILE = "run.json"
ADAPTER_FOLDER = "adapter"
CACHE_FOLDER = "hidden"
LOCK_FILE = ".lock"
READING_LINES = 100  # of progress.jsonl at most


@dataclass
class TrainResult:
    """`metrics`: loss terms of the last step (unweighted, None where a term had no input)."""

    adapter: Path
    steps: int
    metrics: dict[str, float | None]
    trainable_parameters: int


def train(
    *,
    base: Path | HubModel,
    data: Path,
    out: Path,
    settings: TrainSettings,
    start_adapter: Path | None = None,
    cache: Path | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> TrainResult:
    """Train and write `out/adapter`; called again on the same `out`, resume, or return the finished result.

    `cache`: folder of the frozen backbone's hidden states, which many runs may share (default `out/hidden`).
    `on_event` receives each line of progress.jsonl; what it raises stops the run, which can be resumed. Where another
    process is at work in `out` (left over by a worker that was killed), wait for it.
    Raises DatasetError, CheckpointError, CacheRefused, TrainingError (NaN, out of memory, a cache for a backbone that
    trains, or `out` belongs to another run).
    """
    refuse_cache(settings, cache)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _train_alone(base, data, out, settings, start_adapter, cache or out / CACHE_FOLDER, on_event)


def _train_alone(
    base: Path | HubModel,
    data: Path,
    out: Path,
    settings: TrainSettings,
    start_adapter: Path | None,
    cache: Path,
    on_event: Callable[[Event], None] | None,
) -> TrainResult:
    records = read_records(data)
    loaded = load(
        LoadSpec(base, start_adapter, precision=settings.precision, device=settings.device), merge_adapter=False
    )
    if loaded.identity.comparison:
        raise TrainingError(f"{base} is a comparison model of another architecture; only SkinGPT-R1's own is trained")
    identity = describe_run(loaded, data, records, settings)
    claim_folder(out, identity)
    if (out / ADAPTER_FOLDER).is_dir():
        return read_result(out / ADAPTER_FOLDER)
    torch.manual_seed(settings.seed)
    branch_origin = prepare_model(loaded, settings, find_teacher_width(records))
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    plan = make_plan(loaded.model, records, encoder, settings)
    loop = TrainLoop(loaded.model, plan, out, on_event)
    hidden = None if settings.trains_lora else HiddenCache(cache, loaded, encoder)

    def source(progress: Progress) -> Source:
        if hidden is None:
            return encoder
        fill(hidden, records, progress)
        return hidden

    metrics, notices = loop.to_the_end(source)
    provenance = identity | {
        "branch": branch_origin,
        "metrics": metrics,
        "steps": plan.steps,
        "trainable": loop.trainable_counts(),
        "trainable_parameters": sum(loop.trainable_counts().values()),
        "teacher_features": plan.teacher_features,
        "teacher": read_teacher_encoder(data) if plan.teacher_features else None,
        "hidden_states": asdict(hidden.report) if hidden else None,
        "notes": [*loaded.identity.notes, *notices],
    }
    write_adapter(out / ADAPTER_FOLDER, loaded.model, provenance)
    return read_result(out / ADAPTER_FOLDER)


def make_plan(model: SkinGPT, records: Sequence[TrainRecord], encoder: Encoder, settings: TrainSettings) -> Plan:
    """Raises DatasetError for a record that is too long or a broken teacher file."""
    width = model.branch.config.teacher_width if model.branch is not None and settings.trains_branch else None
    lengths = encoder.answer_lengths(records, max_length=settings.max_length)
    counts = {r.line: count_terms(r, length, width) for r, length in zip(records, lengths, strict=True)}
    return Plan(records, counts, width, settings)


def fill(hidden: HiddenCache, records: Sequence[TrainRecord], progress: Progress) -> None:
    """Every case's hidden states before the first step, with progress, so that no step waits for the backbone."""
    every = max(1, len(records) // READING_LINES)

    def tell(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            progress.tell("reading", done=done, total=total)

    report = hidden.fill(records, tell)
    if report.damaged:
        progress.tell("notice", text=f"Kept hidden states of {report.damaged} cases were damaged and made again.")


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


def prepare_model(loaded: LoadedModel, settings: TrainSettings, teacher_width: int | None = None) -> str | None:
    """Add what the recipe trains and let only that have gradients; where the branch came from, None without one.

    `teacher_width`: of a branch that is made new; None: the published one.
    """
    model = loaded.model
    origin = "loaded" if model.branch is not None else None
    if settings.trains_lora:
        add_lora(model, settings)
        for name, parameter in model.backbone.named_parameters():
            parameter.requires_grad_("lora_" in name)
    if settings.trains_branch:
        if model.branch is None:
            model.branch = new_branch(model, settings, teacher_width).to(settings.device)
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


def new_branch(model: SkinGPT, settings: TrainSettings, teacher_width: int | None) -> SkinBranch:
    config, vision = model.qwen.config, model.qwen.config.vision_config
    own = {"hidden", "patch_dim"}
    allowed = {f.name for f in fields(SkinBranchConfig)} - own
    if unknown := sorted(set(settings.branch_sizes) - allowed):
        raise TrainingError(f"unknown branch_sizes: {', '.join(unknown)}; known are {', '.join(sorted(allowed))}")
    patch_dim = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    sizes = ({} if teacher_width is None else {"teacher_width": teacher_width}) | settings.branch_sizes
    return SkinBranch(SkinBranchConfig(hidden=config.text_config.hidden_size, patch_dim=patch_dim, **sizes))


def refuse_cache(settings: TrainSettings, cache: Path | None) -> None:
    if cache is not None and settings.trains_lora:
        raise TrainingError(
            f"the recipe {settings.recipe} trains the backbone, so its hidden states cannot be kept in {cache}: "
            "leave the cache out, or use the recipe dual_distillation"
        )


def read_result(adapter: Path) -> TrainResult:
    recorded = json.loads((adapter / "provenance.json").read_text())
    return TrainResult(adapter, recorded["steps"], recorded["metrics"], recorded["trainable_parameters"])
