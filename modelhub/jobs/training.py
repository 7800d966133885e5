"""Trains an adapter in a process of its own; a killed worker's training goes on from its checkpoint."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.jobs.base import Cancelled, JobFailed, RunContext
from modelhub.jobs.loaded_models import best_device, release_models
from modelhub.jobs.teacher_features import add_teacher_features, feature_counts
from modelhub.jobs.trainer_process import TrainerProcess
from modelhub.models import ModelVersion, Training
from modelhub.services.generation import prompt_text
from modelhub.services.models import base_and_adapter, model_folder
from modelhub.services.training import check_dataset
from scoring.exporters.items import TRAINING, ExportError
from scoring.exporters.messages import write_messages
from scoring.services.audit import record_event

POLL_S = 0.5
MOST_POINTS = 1000
OUT_OF_MEMORY = (
    "The training was ended by the system, most likely for lack of memory. "
    "Use fewer records at once or a smaller rank and try again; it goes on from its last checkpoint."
)


def run(context: RunContext) -> None:
    training = Training.objects.select_related("base__base", "dataset", "result").get(run=context.run)
    if training.result is not None:
        return
    folder = run_folder(context)
    release_models()  # the card's memory belongs to the trainer
    prepare(context, training, folder)
    add_teacher_features(context, training, folder / "data")
    trainer = TrainerProcess(folder, command(training, folder), cwd=settings.BASE_DIR)
    watch(context, trainer, lambda seen: follow(context, training, folder / "out" / "progress.jsonl", seen))
    register(context, training, folder / "out")
    trim_cache()
    shutil.rmtree(folder / "data", ignore_errors=True)
    shutil.rmtree(folder / "out", ignore_errors=True)


def run_folder(context: RunContext) -> Path:
    """Where this run's files are, the same at every attempt."""
    folder = Path(settings.VAR_DIR) / "runs" / context.run.public_id.hex
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def prepare(context: RunContext, training: Training, folder: Path) -> None:
    """The data set and the settings as files; the folder ``data`` appears whole or not at all."""
    context.write(message=f"Writing {training.dataset}")
    try:
        check_dataset(training.dataset)
        if not (folder / "data").is_dir():
            draft = folder / ".data.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            write_messages(training.dataset, draft, purpose=TRAINING, prompt=prompt_text(training.base))
            draft.rename(folder / "data")
    except (ValidationError, ExportError) as error:
        raise JobFailed(" ".join(error.messages) if isinstance(error, ValidationError) else str(error)) from error
    device = best_device()
    chosen = training.settings | {"device": device, "precision": "bfloat16" if device == "cuda" else "float32"}
    if not (folder / "settings.json").exists():
        (folder / "settings.json").write_text(json.dumps(chosen, indent=1, sort_keys=True))


def command(training: Training, folder: Path) -> list[str]:
    base, adapter = base_and_adapter(training.base)
    start = ["--start-adapter", str(model_folder(adapter))] if adapter else []
    if training.settings["recipe"] == "dual_distillation":
        start += ["--cache", str(cache_folder())]
    places = {"--base": model_folder(base), "--data": folder / "data", "--out": folder / "out"}
    options = [word for name, path in places.items() for word in (name, str(path))]
    return [sys.executable, "-m", "modelhub.ml", "train", *options, *start, "--settings", str(folder / "settings.json")]


def cache_folder() -> Path:
    """Hidden states of frozen backbones, shared by every training on this machine."""
    return Path(settings.VAR_DIR) / "hidden"


def trim_cache() -> None:
    """After a training: the cases wanted longest ago make room."""
    from modelhub.ml.hidden_shard import trim

    trim(cache_folder(), settings.HIDDEN_STATES_GB * 10**9)


def watch(context: RunContext, trainer: TrainerProcess, follow: Callable[[str], str]) -> None:
    """Until the trainer ends, call ``follow`` with the message it returned last, to store the curve as it grows.

    Raises ``Cancelled``, ``JobFailed``, ``LeaseLost``.
    """
    seen = ""
    try:
        while True:
            status = trainer.poll()
            seen = follow(seen)
            if status is not None:
                break
            if context.should_stop():
                raise Cancelled
            time.sleep(POLL_S)
    finally:
        if trainer.poll() is None:
            trainer.end()
    if status < 0:
        raise JobFailed(OUT_OF_MEMORY)
    if status > 0:
        words = trainer.last_words() or "it gave no reason; its log is in the run's folder"
        raise JobFailed(f"The training stopped: {words}.")


def follow(context: RunContext, training: Training, progress: Path, seen: str) -> str:
    """Store what the trainer has told since ``seen``, the last message stored; the last one now."""
    events = read_events(progress)
    curve = [event for event in events if event["kind"] == "step"]
    said = [event for event in events if event["kind"] in ("step", "reading")]
    if not said:
        return seen
    last = said[-1]
    if last["kind"] == "reading":
        done, total = last["done"], last["total"]
        message = f"Reading cases {done} of {total}"
    else:
        done, total = last["step"], last["steps"]
        message = f"Step {done} of {total}, loss {last['losses']['total']:.4f}"
    if message == seen:
        return seen
    with context.holding():
        Training.objects.filter(pk=training.pk).update(curve=thinned(curve))
        context.progress(done, total, message)
    return message


def read_events(progress: Path) -> list[dict[str, Any]]:
    """The whole lines of the trainer's progress file."""
    lines = progress.read_text().split("\n")[:-1] if progress.exists() else []
    return [json.loads(line) for line in lines if line]


def thinned(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most ``MOST_POINTS`` points of a long curve, evenly, first and last among them."""
    if len(curve) <= MOST_POINTS:
        return curve
    stride = (len(curve) - 1) / (MOST_POINTS - 1)
    return [curve[round(index * stride)] for index in range(MOST_POINTS)]


def register(context: RunContext, training: Training, out: Path) -> None:
    """The adapter as a model version, exactly once: its folder is named by the run, its row made under the lease."""
    from modelhub.ml.card import describe_adapter

    base, _ = base_and_adapter(training.base)
    location = Path("models") / context.run.public_id.hex
    target = Path(settings.MEDIA_ROOT) / location
    if not target.exists():
        draft = target.with_name(f".{target.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copytree(out / "adapter", draft)
        draft.rename(target)
    provenance = json.loads((target / "provenance.json").read_text())
    card = provenance | {"dataset": str(training.dataset), "dataset_content_sha256": training.dataset.content_hash}
    card |= describe_adapter(target, model_folder(base))
    with context.holding(), transaction.atomic():
        result = ModelVersion.objects.create(
            name=free_name(f"{training.base.name} + {training.dataset}"),
            kind=ModelVersion.Kind.ADAPTER,
            location=str(location),
            base=base,
            weights_hash=card["weights_sha256"],
            card=card,
            synthetic=base.synthetic,
            created_by=context.run.created_by,
        )
        metrics = {**provenance["metrics"], "steps": provenance["steps"]}
        metrics["trainable_parameters"] = provenance["trainable_parameters"]
        if told := provenance["teacher_features"]:
            metrics |= feature_counts(told["present"], told["missing"])
        Training.objects.filter(pk=training.pk).update(result=result, metrics=metrics)
        record_event(actor=context.run.created_by, action="model.trained", subject=result, detail={"card": card})
        context.write(message=f"{result.name} is ready")


def free_name(wanted: str) -> str:
    """``wanted``, with a number behind it when another model has that name."""
    taken = set(ModelVersion.objects.filter(name__startswith=wanted[:100]).values_list("name", flat=True))
    names = (wanted[:100] if number == 1 else f"{wanted[:100]} ({number})" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
