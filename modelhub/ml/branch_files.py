"""The side branch on disk: inside the shards or in a file beside them, complete or switched off, never half."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.checkpoint_files import (
    BRANCH_CONFIG_FILE,
    BRANCH_FILE,
    CheckpointError,
    check_tensors,
    read_json,
)
from modelhub.ml.safetensors_header import StoredTensor, check_floats, read_header, read_tensors
from modelhub.ml.skingpt import BIAS_MODES, BiasMode
from modelhub.ml.tensor_names import IN_PROJ, is_branch_key
from modelhub.ml.train_checkpoint import write_json


@dataclass(frozen=True)
class StoredBranch:
    """A branch that lies in files. `config` None: it cannot be computed, and `off` says why.

    `bias_mode`: what it was trained with, None where nobody recorded it.
    """

    tensors: Mapping[str, StoredTensor]
    config: SkinBranchConfig | None
    bias_mode: BiasMode | None
    off: str = ""


def find_branch(folder: Path, shards: Mapping[str, StoredTensor]) -> StoredBranch | None:
    """The branch of a folder by its headers, None where there is none.

    Raises CheckpointError where it lies in two places, or naming every tensor that is missing, unexpected or of
    another shape. Only `in_proj` may be missing (the reference makes it in its first forward pass, so releases lack
    it): then nothing of the branch can be computed and it is off.
    """
    file = folder / BRANCH_FILE
    tensors = {key: tensor for key, tensor in shards.items() if is_branch_key(key)}
    if file.exists() or file.is_symlink():
        if tensors:
            raise CheckpointError(f"{file} holds a side branch, and the shards hold one too: remove one of them")
        tensors = read_header(file)
    if not tensors:
        return None
    check_floats(tensors)
    place = next(iter(tensors.values())).file
    recorded = read_record(folder / BRANCH_CONFIG_FILE)
    top_k = recorded.get("top_k", SkinBranchConfig.top_k)
    config = config_of(place, tensors, top_k)
    for name, value in recorded.items():
        if name not in ("bias_mode", "bias_scale") and getattr(config, name) != value:
            raise CheckpointError(
                f"{folder / BRANCH_CONFIG_FILE} says {name} {value}, the tensors say {getattr(config, name)}"
            )
    expected = branch_shapes(config)
    complete = IN_PROJ in tensors
    if not complete:
        del expected[IN_PROJ]
    check_tensors(f"{place}: the side branch", {key: tensor.shape for key, tensor in tensors.items()}, expected)
    off = "" if complete else f"{IN_PROJ} is missing in {place.name}, so nothing of the branch can be computed"
    return StoredBranch(tensors, config if complete else None, recorded.get("bias_mode"), off)


def read_record(path: Path) -> dict[str, Any]:
    """Sizes and bias mode as recorded beside a branch; empty without a record."""
    if not path.exists():
        return {}
    recorded = read_json(path)
    if unknown := set(recorded) - {f.name for f in fields(SkinBranchConfig)} - {"bias_mode"}:
        raise CheckpointError(f"{path} has unknown fields: {', '.join(sorted(unknown))}")
    if recorded.get("bias_mode") not in (None, *BIAS_MODES):
        raise CheckpointError(
            f"{path} says bias_mode {recorded['bias_mode']!r}, must be one of {', '.join(BIAS_MODES)}"
        )
    if not isinstance(recorded.get("top_k", 1), int):
        raise CheckpointError(f"{path} says top_k {recorded['top_k']!r}, must be a whole number")
    return recorded


def config_of(place: Path, tensors: Mapping[str, Any], top_k: int) -> SkinBranchConfig:
    """Sizes from shapes. Raises CheckpointError naming every tensor whose absence leaves a size unknown."""
    known, missing = dict(tensors), []
    while True:
        try:
            config = SkinBranchConfig.from_state(known, top_k=top_k)
            break
        except KeyError as error:
            missing.append(str(error.args[0]))
            known[missing[-1]] = SimpleNamespace(shape=(1, 1))
        except (IndexError, ValueError) as error:
            if missing:
                break
            raise CheckpointError(f"{place}: the side branch has shapes that do not fit together: {error}") from error
    if missing:
        raise CheckpointError(
            f"{place}: the side branch lacks {', '.join(missing)}, without which its sizes are unknown", missing=missing
        )
    return config


def branch_shapes(config: SkinBranchConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in SkinBranch(config).state_dict().items()}


def check_fits(branch: StoredBranch, parsed: Any) -> None:
    """Raises CheckpointError where the branch is made for another backbone than `parsed` configures."""
    if branch.config is None:
        return
    place = next(iter(branch.tensors.values())).file
    hidden, vision = parsed.text_config.hidden_size, parsed.vision_config
    if branch.config.hidden != hidden:
        raise CheckpointError(
            f"{place}: the side branch is made for width {branch.config.hidden}, the backbone has {hidden}"
        )
    patch_dim = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    if branch.config.patch_dim != patch_dim:
        raise CheckpointError(
            f"{place}: the side branch reads patches of {branch.config.patch_dim}, not of {patch_dim} numbers"
        )


def load_branch(stored: StoredBranch) -> SkinBranch:
    """The module with its weights, in float32 on the CPU; for a branch that is complete."""
    assert stored.config is not None
    branch = SkinBranch(stored.config)
    branch.load_state_dict({key: value.float() for key, value in read_tensors(stored.tensors).items()})
    return branch


def save_branch(folder: Path, branch: SkinBranch, bias_mode: str) -> None:
    """float32 weights under the reference's names, sizes and bias mode beside them."""
    state = {key: value.detach().cpu().contiguous().clone() for key, value in branch.state_dict().items()}
    save_file(state, folder / BRANCH_FILE)
    write_record(folder, branch.config, bias_mode)


def write_record(folder: Path, config: SkinBranchConfig, bias_mode: str | None) -> None:
    sizes = {f.name: getattr(config, f.name) for f in fields(config)}
    write_json(folder / BRANCH_CONFIG_FILE, sizes | ({"bias_mode": bias_mode} if bias_mode else {}))
