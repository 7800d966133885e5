"""Two checkpoints tensor by tensor, in any key style and any shards, without loading a model.

Is the backbone of the released SkinGPT-R1 really Vision-R1's? `python -m modelhub.ml compare-weights A B` says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelhub.ml.checkpoint_files import BRANCH_FILE, Shape, check_folder, read_json
from modelhub.ml.model_config import CONFIG_FILE, QWEN
from modelhub.ml.safetensors_header import StoredTensor, read_header, read_shards
from modelhub.ml.tensor_names import is_branch_key, to_current_name
from modelhub.ml.weight_reading import Reading, read_weights


@dataclass(frozen=True)
class TensorHash:
    """`sha256`: over dtype, shape and bytes."""

    dtype: str
    shape: Shape
    sha256: str


@dataclass(frozen=True)
class Difference:
    """`what`: `values`, `shape`, `dtype`, `missing` (only the first has it) or `extra` (only the second has it)."""

    name: str
    what: str
    left: str
    right: str


@dataclass(frozen=True)
class Comparison:
    """`equal`: how many tensors are the same in both; `backbone`, `branch`: how the others differ."""

    equal: int
    backbone: tuple[Difference, ...]
    branch: tuple[Difference, ...]

    @property
    def backbone_equal(self) -> bool:
        return not self.backbone


def tensor_hashes(tensors: Mapping[str, StoredTensor], readings: Iterable[Reading]) -> dict[str, TensorHash]:
    """Hashes of every tensor under the same names, from files that were read with `hash_tensors`."""
    hashes = {(reading.file, name): sha256 for reading in readings for name, sha256 in reading.tensors.items()}
    return {name: TensorHash(t.dtype, t.shape, hashes[t.file, t.key]) for name, t in tensors.items()}


def hash_checkpoint(folder: Path, on_bytes: Callable[[int], None] | None = None) -> dict[str, TensorHash]:
    """Read a folder's weights, those of a side branch beside the shards too. Raises CheckpointError."""
    check_folder(folder)
    tensors = read_shards(folder)
    if (folder / BRANCH_FILE).exists():
        tensors |= read_header(folder / BRANCH_FILE)
    if read_json(folder / CONFIG_FILE).get("model_type") == QWEN:
        tensors = {to_current_name(name): tensor for name, tensor in tensors.items()}
    files = sorted({tensor.file for tensor in tensors.values()})
    return tensor_hashes(tensors, read_weights(files, hash_tensors=True, on_bytes=on_bytes))


def compare(left: Mapping[str, TensorHash], right: Mapping[str, TensorHash]) -> Comparison:
    differences = [d for name in sorted(set(left) | set(right)) if (d := _difference(name, left, right))]
    return Comparison(
        equal=len(set(left) | set(right)) - len(differences),
        backbone=tuple(d for d in differences if not is_branch_key(d.name)),
        branch=tuple(d for d in differences if is_branch_key(d.name)),
    )


def _difference(name: str, left: Mapping[str, TensorHash], right: Mapping[str, TensorHash]) -> Difference | None:
    ours, theirs = left.get(name), right.get(name)
    if ours is None or theirs is None:
        what = "extra" if ours is None else "missing"
        return Difference(name, what, _facts(ours), _facts(theirs))
    if ours == theirs:
        return None
    what = "shape" if ours.shape != theirs.shape else "dtype" if ours.dtype != theirs.dtype else "values"
    return Difference(name, what, _facts(ours), _facts(theirs))


def _facts(tensor: TensorHash | None) -> str:
    return "" if tensor is None else f"{tensor.dtype} {list(tensor.shape)} {tensor.sha256}"
