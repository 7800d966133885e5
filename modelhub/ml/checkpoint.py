"""A checkpoint folder opened by its headers: everything that can be refused before a weight is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from modelhub.ml.adapter_files import StoredAdapter, check_lora
from modelhub.ml.backbone import backbone_tensors, check_backbone, outline
from modelhub.ml.branch_files import StoredBranch, check_fits, find_branch
from modelhub.ml.checkpoint_files import READ_FILES, CheckpointError, check_folder, hash_file, weight_files
from modelhub.ml.manifest import check_hub, check_manifest, find_manifest
from modelhub.ml.model_config import ModelConfig, read_config
from modelhub.ml.safetensors_header import StoredTensor, read_shards
from modelhub.ml.weight_reading import Reading, check_finite, read_weights, weights_sha256


@dataclass(frozen=True)
class Checkpoint:
    """`tensors`: the backbone's by the names that its class uses. `network`: its outline on the meta device."""

    folder: Path
    config: ModelConfig
    tensors: Mapping[str, StoredTensor]
    branch: StoredBranch | None
    network: nn.Module = field(repr=False)

    @property
    def notes(self) -> list[str]:
        """What people must know who read the model's texts."""
        return [f"branch off: {self.branch.off}"] if self.branch and self.branch.off else []


def open_checkpoint(folder: Path) -> Checkpoint:
    """Raises CheckpointError naming the file or every tensor at fault."""
    check_folder(folder)
    config = read_config(folder)
    shards = read_shards(folder)
    network = outline(config)
    tensors = backbone_tensors(shards, config)
    branch = find_branch(folder, shards) if config.own else None
    check_backbone(folder, tensors, config, network)
    if branch is not None:
        check_fits(branch, config.parsed)
    return Checkpoint(folder, config, tensors, branch, network)


def check_adapter(adapter: StoredAdapter, checkpoint: Checkpoint) -> None:
    """Raises CheckpointError where the adapter's tensors do not fit the base."""
    if adapter.branch is not None and not checkpoint.config.own:
        raise CheckpointError(
            f"{adapter.folder} holds a branch of SkinGPT-R1's architecture, {checkpoint.folder} has another one"
        )
    check_lora(adapter, checkpoint.network)
    if adapter.branch is not None:
        if adapter.branch.off:
            raise CheckpointError(f"{adapter.folder}: {adapter.branch.off}; an adapter's branch must be complete")
        check_fits(adapter.branch, checkpoint.config.parsed)


@dataclass(frozen=True)
class Contents:
    """What a folder's files are: `sha256` of all its weights together, `readings` of each weight file, `hashes` of
    every file that loading reads, `manifest` that they were held against, if any."""

    sha256: str
    readings: tuple[Reading, ...]
    hashes: Mapping[str, str]
    manifest: Path | None


def read_contents(
    folder: Path,
    manifest: Path | None = None,
    *,
    hash_tensors: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> Contents:
    """Read every weight once: hashed, held against the manifest and the hub's own hashes, each number looked at.

    Raises CheckpointError naming files that do not fit, or tensors that hold what is no number.
    """
    weights = weight_files(folder)
    readings = read_weights(weights, hash_tensors=hash_tensors, on_bytes=on_bytes)
    hashes = {reading.file.name: reading.sha256 for reading in readings}
    hashes |= {name: hash_file(folder / name) for name in READ_FILES if (folder / name).is_file()}
    given = find_manifest(folder, manifest)
    if given is not None:
        check_manifest(given, folder, hashes, {path.name for path in weights})
    check_hub(folder, hashes)
    check_finite(readings)
    return Contents(weights_sha256(readings), tuple(readings), hashes, given)
