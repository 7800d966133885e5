"""A training run's place on disk: safetensors and JSON, complete or absent, never half."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

LATEST = "latest.json"


def write_json(path: Path, content: Any) -> None:
    """Atomically: a reader sees the old file or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def save_checkpoint(
    folder: Path, *, step: int, trainable: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Write `step-N/` whole, then point `latest.json` at it, then drop older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    draft, final = folder / f".step-{step}.draft", folder / f"step-{step}"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    draft.mkdir()
    save_file({name: p.detach().contiguous() for name, p in trainable.items()}, draft / "trainable.safetensors")
    moments = {
        f"{name}/{key}": value.detach().contiguous()
        for name, p in trainable.items()
        for key, value in optimizer.state[p].items()
    }
    save_file(moments | random_state(), draft / "optimizer.safetensors")
    draft.rename(final)
    write_json(folder / LATEST, {"step": step, "folder": final.name})
    for old in folder.glob("*step-*"):
        if old.name != final.name:
            shutil.rmtree(old, ignore_errors=True)


def restore_checkpoint(folder: Path, *, trainable: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Put weights, optimizer and random state back; the number of steps done, 0 without a checkpoint."""
    if not (folder / LATEST).exists():
        return 0
    latest = json.loads((folder / LATEST).read_text())
    place = folder / latest["folder"]
    weights = load_file(place / "trainable.safetensors")
    if set(weights) != set(trainable):
        raise ValueError(f"{place} holds other parameters than this run trains")
    state = load_file(place / "optimizer.safetensors")
    with torch.no_grad():
        for name, parameter in trainable.items():
            parameter.copy_(weights[name])
            keys = [key for key in state if key.rpartition("/")[0] == name]
            optimizer.state[parameter] = {key.rpartition("/")[2]: state[key].to(parameter.device) for key in keys}
    restore_random_state(state)
    return int(latest["step"])


def random_state() -> dict[str, Tensor]:
    state = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["random/cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["random/cpu"])
    if "random/cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random/cuda"])


def keep_progress(path: Path, step: int) -> list[dict[str, Any]]:
    """Cut the progress file back to steps and notices up to the checkpoint's step, so that repeated steps stand in it
    once; the kept events."""
    kept = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:
            break  # the kill fell into this line
        if event["kind"] in ("step", "notice") and event.get("step", 0) <= step:
            kept.append(event)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text("".join(json.dumps(event) + "\n" for event in kept))
    draft.replace(path)
    return kept
