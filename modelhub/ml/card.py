"""The model card: everything that can be told about a checkpoint or an adapter from its files, as plain data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelhub.ml.adapter_files import StoredAdapter, open_adapter
from modelhub.ml.branch_files import StoredBranch
from modelhub.ml.checkpoint import Contents, check_adapter, open_checkpoint, read_contents
from modelhub.ml.compare_weights import TensorHash, tensor_hashes
from modelhub.ml.manifest import is_released
from modelhub.ml.model_config import config_facts
from modelhub.ml.safetensors_header import StoredTensor, elements

PACKAGES = ("torch", "transformers", "safetensors", "peft")
RELEASED_NAME = "the released SkinGPT-R1 shards"


@dataclass(frozen=True)
class Described:
    """`card`: plain data for a page; `tensors`: a hash of each tensor by its current name."""

    sha256: str
    card: dict[str, Any]
    tensors: dict[str, TensorHash]


def describe_checkpoint(
    folder: Path,
    *,
    manifest: Path | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Described:
    """Open a checkpoint, read every weight once and say what it is. Raises CheckpointError as loading would."""
    checkpoint = open_checkpoint(folder)
    contents = read_contents(folder, manifest, hash_tensors=True, on_bytes=on_bytes)
    branch = dict(checkpoint.branch.tensors) if checkpoint.branch else {}
    tensors = dict(checkpoint.tensors) | branch
    weights = {reading.file.name: reading.sha256 for reading in contents.readings}
    card = {
        "weights_sha256": contents.sha256,
        "files": file_rows(folder, contents),
        "released": RELEASED_NAME if is_released(weights) else None,
        "manifest": contents.manifest.name if contents.manifest else None,
        "config": config_facts(checkpoint.config),
        "comparison": not checkpoint.config.own,
        "parameters": sum(elements(tensor) for tensor in tensors.values()),
        "tensors": len(tensors),
        "stored_as": count_dtypes(tensors),
        "branch": branch_facts(checkpoint.branch),
        "notes": checkpoint.notes,
        "versions": {name: version(name) for name in PACKAGES},
    }
    return Described(contents.sha256, card, tensor_hashes(tensors, contents.readings))


def describe_adapter(folder: Path, base: Path) -> dict[str, Any]:
    """What an adapter trains, and what the side branch is once it lies on its base, as plain data.

    Raises CheckpointError where it could not be loaded on that base.
    """
    adapter, checkpoint = open_adapter(folder), open_checkpoint(base)
    check_adapter(adapter, checkpoint)
    contents = read_contents(folder)
    branch = adapter.branch or checkpoint.branch
    return {
        "weights_sha256": contents.sha256,
        "base_sha256": adapter.provenance.get("base_sha256"),
        "files": file_rows(folder, contents),
        "lora": lora_facts(adapter),
        "branch": branch_facts(branch) | {"of": "adapter" if adapter.branch else "base"},
        "notes": [f"branch off: {branch.off}"] if branch is not None and branch.off else [],
        "versions": dict(adapter.provenance.get("versions") or {}),
    }


def file_rows(folder: Path, contents: Contents) -> list[dict[str, Any]]:
    """Name, bytes and SHA-256 of each file that loading reads, weights first."""
    weights = [reading.file.name for reading in contents.readings]
    names = weights + sorted(set(contents.hashes) - set(weights))
    return [{"name": name, "bytes": (folder / name).stat().st_size, "sha256": contents.hashes[name]} for name in names]


def count_dtypes(tensors: Mapping[str, StoredTensor]) -> dict[str, int]:
    """Parameters by the type they are stored in."""
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + elements(tensor)
    return counts


def branch_facts(branch: StoredBranch | None) -> dict[str, Any]:
    """`state`: `present`, `off` (it lies there and cannot be computed; `why` says so) or `none`."""
    if branch is None:
        return {"state": "none"}
    facts: dict[str, Any] = {"state": "off" if branch.off else "present", "why": branch.off}
    facts |= {"tensors": len(branch.tensors), "parameters": sum(elements(t) for t in branch.tensors.values())}
    if branch.config is not None:
        facts |= {"sizes": asdict(branch.config), "bias_mode": branch.bias_mode or "all_steps"}
        facts["bias_mode_recorded"] = branch.bias_mode is not None
    return facts


def lora_facts(adapter: StoredAdapter) -> dict[str, Any] | None:
    """Rank, scale and which layers; None where the adapter is a side branch only."""
    if adapter.config is None:
        return None
    targets = sorted({key.rsplit(".", 3)[1] for key in adapter.lora})
    layers = {key.split(".layers.")[1].split(".")[0] for key in adapter.lora if ".layers." in key}
    return {
        "rank": adapter.config.r,
        "alpha": adapter.config.lora_alpha,
        "targets": targets,
        "layers": len(layers),
        "tensors": len(adapter.lora),
        "parameters": sum(elements(tensor) for tensor in adapter.lora.values()),
    }
