"""One case of the cache of hidden states on disk: whole or absent, checked against its own checksum."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor

CHANNELS = 3
LEVELS = 256
SEAL = "case and checksum"  # one entry: safetensors writes several in any order, and equal shards are equal bytes
STALE_DRAFT_S = 3600


class ShardDamaged(ValueError):
    """A shard that is not what was written."""


def write_shard(path: Path, key: str, example: dict[str, Tensor]) -> None:
    """Atomically and durably: after a crash the file is whole or not there.

    example: `hidden` [tokens, hidden], `answer` [tokens] and, with images, `pixel_values` [patches, one frame] and
    `image_grid_thw`.
    """
    tensors = {name: value.contiguous() for name, value in example.items() if name != "pixel_values"}
    if "pixel_values" in example:
        tensors |= pack_patches(example["pixel_values"])
    content = save(tensors, {SEAL: f"{key} {hash_data(save(tensors))}"})
    path.parent.mkdir(exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_shard(path: Path, key: str, *, checked: bool) -> dict[str, Tensor]:
    """What `write_shard` was given. `checked`: this process has compared the checksum before.

    Raises FileNotFoundError, ShardDamaged.
    """
    try:
        if checked:
            tensors = load_file(path)
        else:
            content = path.read_bytes()
            header = json.loads(content[8 : data_start(content)])
            if header["__metadata__"] != {SEAL: f"{key} {hash_data(content)}"}:
                raise ShardDamaged(f"{path.name} is not what was written")
            tensors = load(content)
        return unpack_patches(tensors)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ShardDamaged(f"{path.name} is not readable: {error}") from error


def data_start(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


def hash_data(content: bytes) -> str:
    return hashlib.sha256(memoryview(content)[data_start(content) :]).hexdigest()


def one_frame(pixel_values: Tensor, frames: int) -> Tensor:
    """The processor gives a still picture's patches `frames` equal frames, [patches, channels · frames · pixels]; the
    first of them, [patches, channels · pixels].

    Raises ValueError where frames differ.
    """
    by_frame = pixel_values.view(len(pixel_values), CHANNELS, frames, -1)
    if not bool((by_frame == by_frame[:, :, :1]).all()):
        raise ValueError("the frames of a patch differ: only still pictures are kept")
    return by_frame[:, :, 0].flatten(1)


def pack_patches(patches: Tensor) -> dict[str, Tensor]:
    """[patches, channels · pixels] as they can be restored bit by bit, a quarter of their size.

    A channel of an eight-bit picture holds at most 256 values: one byte per value, and a table. Patches of another kind
    are kept as they are.
    """
    channels = patches.view(len(patches), CHANNELS, -1).unbind(dim=1)
    found = [channel.unique(return_inverse=True) for channel in channels]
    if max(len(values) for values, _ in found) > LEVELS:
        return {"pixel_values": patches.contiguous()}
    table = torch.zeros(CHANNELS, LEVELS, dtype=patches.dtype)
    for channel, (values, _) in enumerate(found):
        table[channel, : len(values)] = values
    places = torch.stack([inverse for _, inverse in found], dim=1).to(torch.uint8)
    return {"patch_places": places.contiguous(), "patch_values": table}


def unpack_patches(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if "patch_places" not in tensors:
        return tensors
    places, table = tensors.pop("patch_places"), tensors.pop("patch_values")
    offsets = torch.arange(0, table.numel(), LEVELS, dtype=torch.int32)[:, None]
    values = table.view(-1).index_select(0, (places.int() + offsets).view(-1))
    return tensors | {"pixel_values": values.view(len(places), -1)}


def trim(folder: Path, limit_bytes: int) -> int:
    """Drop the shards wanted longest ago until the rest fits, and drafts that a killed process left; bytes freed."""
    freed, now = 0, time.time()
    entries: list[tuple[float, int, Path]] = []
    for path in folder.glob("*/*"):
        try:
            found: Any = path.stat()
        except FileNotFoundError:
            continue  # another process was faster
        if path.suffix == ".draft" and now - found.st_mtime > STALE_DRAFT_S:
            path.unlink(missing_ok=True)
        elif path.suffix == ".safetensors":
            entries.append((found.st_mtime, found.st_size, path))
    kept = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if kept - freed <= limit_bytes:
            break
        path.unlink(missing_ok=True)
        freed += size
    return freed
