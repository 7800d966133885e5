"""The headers of safetensors files: which tensors lie where. No weight is read."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from modelhub.ml.checkpoint_files import (
    INDEX_FILE,
    PICKLE_MARKS,
    CheckpointError,
    Shape,
    plain_file,
    read_index,
    shard_files,
)

if TYPE_CHECKING:
    from torch import Tensor

FLOATS = ("F32", "BF16", "F16")  # what the weights of these models are stored in


@dataclass(frozen=True)
class StoredTensor:
    """`key`: its name in the file; `begin`, `end`: its bytes there."""

    key: str
    dtype: str
    shape: Shape
    file: Path
    begin: int
    end: int


def elements(tensor: StoredTensor) -> int:
    return math.prod(tensor.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Tensors of one file by name, in the order of their bytes.

    Raises CheckpointError where the file is no whole safetensors file, holds nothing or names a tensor twice.
    """
    with plain_file(path).open("rb") as stream:
        start = stream.read(8)
    if start.startswith(PICKLE_MARKS):
        raise CheckpointError(f"{path} is a pickle under another name; pickles are never loaded")
    try:
        with safe_open(path, "np"):  # its own checks: offsets without gap or overlap, the file complete
            pass
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    data = 8 + int.from_bytes(start, "little")
    with path.open("rb") as stream:
        listed = json.loads(stream.read(data)[8:], object_pairs_hook=list)  # pairs, so that a name given twice shows
    if twice := sorted(name for name, times in Counter(name for name, _ in listed).items() if times > 1):
        raise CheckpointError(f"{path} names {', '.join(twice)} twice")
    tensors = [_stored(name, dict(facts), path, data) for name, facts in listed if name != "__metadata__"]
    if not tensors:
        raise CheckpointError(f"{path} holds no tensor")
    return dict(sorted(tensors, key=lambda item: (item[1].begin, item[1].end)))


def _stored(name: str, facts: dict[str, list[int]], path: Path, data: int) -> tuple[str, StoredTensor]:
    begin, end = facts["data_offsets"]
    return name, StoredTensor(name, str(facts["dtype"]), tuple(facts["shape"]), path, data + begin, data + end)


def check_floats(tensors: Mapping[str, StoredTensor]) -> None:
    """Raises CheckpointError naming every tensor that is stored as something other than `FLOATS`."""
    if odd := [f"{t.key} in {t.file} is {t.dtype}" for t in tensors.values() if t.dtype not in FLOATS]:
        raise CheckpointError(f"weights must be {', '.join(FLOATS)}: {'; '.join(odd)}")


def read_tensors(stored: Mapping[str, StoredTensor]) -> "dict[str, Tensor]":
    """The tensors themselves under the same names, on the CPU and as they are stored."""
    from safetensors.torch import safe_open as open_for_torch

    tensors: dict[str, Tensor] = {}
    for path in {tensor.file for tensor in stored.values()}:
        with open_for_torch(path, "pt") as file:
            tensors |= {name: file.get_tensor(tensor.key) for name, tensor in stored.items() if tensor.file == path}
    return tensors


def read_headers(paths: Iterable[Path]) -> dict[str, StoredTensor]:
    """Tensors of several files. Raises CheckpointError where two files hold the same name."""
    tensors: dict[str, StoredTensor] = {}
    for path in paths:
        for name, tensor in read_header(path).items():
            if name in tensors:
                raise CheckpointError(f"{path} holds {name}, which lies in {tensors[name].file.name} too")
            tensors[name] = tensor
    return tensors


def read_shards(folder: Path) -> dict[str, StoredTensor]:
    """Tensors of a checkpoint's shards. Raises CheckpointError where index and shards disagree, naming every tensor."""
    tensors = read_headers(shard_files(folder))
    index = folder / INDEX_FILE
    if not index.exists():
        return tensors
    listed = read_index(index)
    problems = []
    if missing := sorted(set(listed) - set(tensors)):
        problems.append(f"in no shard: {', '.join(f'{key} ({listed[key]})' for key in missing)}")
    if unlisted := sorted(set(tensors) - set(listed)):
        problems.append(f"not in the index: {', '.join(f'{key} ({tensors[key].file.name})' for key in unlisted)}")
    moved = [key for key in sorted(set(listed) & set(tensors)) if tensors[key].file.name != listed[key]]
    problems += [f"{key} lies in {tensors[key].file.name}, not in {listed[key]}" for key in moved]
    if problems:
        raise CheckpointError(
            f"{index} and its shards disagree: {'; '.join(problems)}", missing=missing, unexpected=unlisted
        )
    return tensors
