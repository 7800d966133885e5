"""What lies in a checkpoint folder: safetensors headers, key names old and new, hashes. Nothing is loaded here."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

BRANCH_FILE = "skin_branch.safetensors"
BRANCH_CONFIG_FILE = "skin_branch.json"
BRANCH_PREFIXES = ("distill_head.", "text_bias.", "logit_bias_scale")
IN_PROJ = "distill_head.in_proj.weight"
LFS_MARK = b"version https://git-lfs"


class CheckpointError(ValueError):
    """A checkpoint or adapter that cannot be used; the message names the file or tensor and the reason."""


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.name} is missing in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return content


def hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_weights(folder: Path) -> str:
    """One SHA-256 for all weights of a folder: of the file where there is one, else of `<sha>  <name>` lines."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder} holds no .safetensors file")
    if len(files) == 1:
        return hash_file(files[0])
    lines = "".join(f"{hash_file(path)}  {path.name}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of one safetensors file, from its header."""
    if not path.exists():
        raise CheckpointError(f"{path.name} is missing in {path.parent}")
    with path.open("rb") as stream:
        if stream.read(len(LFS_MARK)) == LFS_MARK:
            raise CheckpointError(f"{path} is a Git LFS pointer, not the weights: fetch them with `git lfs pull`")
    try:
        with safe_open(path, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error


def shard_files(folder: Path) -> list[Path]:
    """The backbone's weight files, in the order of the index where there is one."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = read_json(index)
        names = sorted(set(listed.get("weight_map", {}).values()))
        if not names or "metadata" not in listed:
            raise CheckpointError(f'{index} lists no weights, or has no "metadata" beside them')
        if outside := [name for name in names if Path(name).name != name]:
            raise CheckpointError(f"{index} points outside its folder: {', '.join(outside)}")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    other = sorted(p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl"))
    hint = f"; {', '.join(other)} are pickles, which are never loaded" if other else ""
    raise CheckpointError(f"{folder} holds neither model.safetensors nor an index of shards{hint}")


def is_branch_key(key: str) -> bool:
    return key.startswith(BRANCH_PREFIXES)


def to_current_name(key: str) -> str:
    """Released checkpoints use the old key style (`visual.*`, `model.layers.*`); the model class the new one."""
    if key.startswith("visual."):
        return f"model.{key}"
    if key.startswith("model.") and not key.startswith(("model.visual.", "model.language_model.")):
        return f"model.language_model.{key.removeprefix('model.')}"
    return key


def name_some(keys: set[str], limit: int = 8) -> str:
    listed = sorted(keys)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
