"""A checkpoint in the reference's released layout: bfloat16, old key style, shards with their index, LoRA folded in.

Tensor by tensor, so that a 16 GB model needs the memory of one shard. What is bfloat16 already keeps its bytes.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from modelhub.ml.adapter_files import StoredAdapter, check_base, open_adapter
from modelhub.ml.branch_files import StoredBranch, write_record
from modelhub.ml.checkpoint import Checkpoint, check_adapter, open_checkpoint, read_contents
from modelhub.ml.checkpoint_files import (
    ADAPTER_CONFIG_FILE,
    BRANCH_CONFIG_FILE,
    INDEX_FILE,
    PROVENANCE_FILE,
    READ_FILES,
    SINGLE_FILE,
    CheckpointError,
    hash_file,
)
from modelhub.ml.manifest import MANIFEST_FILE
from modelhub.ml.model_config import CONFIG_FILE, released_config
from modelhub.ml.safetensors_header import StoredTensor, elements, read_tensors
from modelhub.ml.tensor_names import HEAD, to_released_name
from modelhub.ml.train_checkpoint import write_json

EXPORT_FILE = "export.json"
SHARD_BYTES = 5_000_000_000
MADE_ANEW = (CONFIG_FILE, INDEX_FILE, BRANCH_CONFIG_FILE, ADAPTER_CONFIG_FILE, PROVENANCE_FILE)
LORA_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Export:
    """`files`: name → SHA-256 of everything written; `tensors`: how many; `merged`: how many had LoRA folded in."""

    folder: Path
    files: dict[str, str]
    tensors: int
    merged: int


def export(base: Path, out: Path, adapter: Path | None = None, *, shard_bytes: int = SHARD_BYTES) -> Export:
    """Write the folder `out`, whole or not at all.

    Raises CheckpointError for a base or an adapter that cannot be used, FileExistsError where `out` exists.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists already: choose a new folder")
    checkpoint = open_checkpoint(base)
    if not checkpoint.config.own:
        raise CheckpointError(f"{base} is a comparison model: only SkinGPT-R1's architecture has a released layout")
    stored = open_adapter(adapter) if adapter is not None else None
    if stored is not None:
        check_adapter(stored, checkpoint)
    contents = read_contents(base)
    provenance = {"base_sha256": contents.sha256, "adapter_sha256": None}
    if stored is not None:
        check_base(stored, contents.sha256)
        provenance["adapter_sha256"] = read_contents(stored.folder).sha256
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    names, merged = write_weights(draft, checkpoint, stored, shard_bytes)
    write_beside(draft, checkpoint, stored, provenance)
    files = {path.name: hash_file(path) for path in sorted(draft.iterdir())}
    (draft / MANIFEST_FILE).write_text("".join(f"{digest}  {name}\n" for name, digest in files.items()))
    draft.rename(out)
    return Export(out, files, names, merged)


def write_weights(
    folder: Path, checkpoint: Checkpoint, adapter: StoredAdapter | None, shard_bytes: int
) -> tuple[int, int]:
    """Shards and their index (a single file where one shard is enough); how many tensors, and how many were merged."""
    stored = released_tensors(checkpoint, adapter)
    pairs = lora_pairs(adapter) if adapter is not None else {}
    shards = list(split(stored, shard_bytes))
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = SINGLE_FILE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        state = read_tensors(shard)
        for key in state:
            if key in pairs:
                assert adapter is not None
                state[key] = merged(state[key], pairs[key], adapter.config)
            state[key] = state[key].to(torch.bfloat16).contiguous()
        save_file(state, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(shard, name)
    if len(shards) > 1:
        total = sum(2 * elements(tensor) for tensor in stored.values())
        write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": where})
    return len(stored), len(pairs)


def released_tensors(checkpoint: Checkpoint, adapter: StoredAdapter | None) -> dict[str, StoredTensor]:
    """What is to be written under the names that the reference uses: backbone, then the adapter's branch or the
    base's own. A tied head is not written a second time."""
    tied = checkpoint.config.parsed.tie_word_embeddings
    backbone = {to_released_name(n): t for n, t in checkpoint.tensors.items() if not (tied and n == HEAD)}
    branch = branch_of(checkpoint, adapter)
    return backbone | (dict(branch.tensors) if branch is not None else {})


def branch_of(checkpoint: Checkpoint, adapter: StoredAdapter | None) -> StoredBranch | None:
    return adapter.branch if adapter is not None and adapter.branch is not None else checkpoint.branch


def split(stored: Mapping[str, StoredTensor], most_bytes: int) -> Iterator[dict[str, StoredTensor]]:
    """Groups of at most so many bytes as bfloat16, a tensor larger than that alone."""
    shard: dict[str, StoredTensor] = {}
    size = 0
    for key, tensor in stored.items():
        own = 2 * elements(tensor)
        if shard and size + own > most_bytes:
            yield shard
            shard, size = {}, 0
        shard[key] = tensor
        size += own
    yield shard


def lora_pairs(adapter: StoredAdapter) -> dict[str, dict[str, StoredTensor]]:
    """Released name of a weight → its LoRA matrices `lora_A` [rank, in] and `lora_B` [out, rank]."""
    pairs: dict[str, dict[str, StoredTensor]] = {}
    for key, tensor in adapter.lora.items():
        layer, matrix = key.removeprefix(LORA_PREFIX).removesuffix(".weight").rsplit(".", 1)
        pairs.setdefault(to_released_name(f"{layer}.weight"), {})[matrix] = tensor
    return pairs


def merged(weight: Tensor, pair: Mapping[str, StoredTensor], config: Any) -> Tensor:
    """The weight with LoRA folded in, computed and given in float32."""
    matrices = read_tensors(pair)
    return weight.float() + matrices["lora_B"].float() @ matrices["lora_A"].float() * (config.lora_alpha / config.r)


def write_beside(
    folder: Path, checkpoint: Checkpoint, adapter: StoredAdapter | None, provenance: dict[str, Any]
) -> None:
    """Configuration, tokenizer and processor, and what the layout has no place for: sizes and bias mode of the branch,
    what the export was made from."""
    for name in READ_FILES:
        if name not in MADE_ANEW and (checkpoint.folder / name).exists():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    write_json(folder / CONFIG_FILE, released_config(checkpoint.config.raw))
    branch = branch_of(checkpoint, adapter)
    if branch is not None and branch.config is not None:
        write_record(folder, branch.config, branch.bias_mode)
    packages = {name: version(name) for name in ("torch", "transformers", "safetensors")}
    write_json(folder / EXPORT_FILE, provenance | {"versions": packages})
