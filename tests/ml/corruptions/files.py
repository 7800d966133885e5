"""Files that are none."""

import pickle
import random
import shutil
import struct
from pathlib import Path

import torch

from tests.ml.corruptions.kinds import (
    LFS,
    Patterns,
    a_json,
    a_shard,
    a_weight_file,
    escaped,
    kind,
    read,
    whole,
    write_header,
)


@kind
def truncated(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    raw = file.read_bytes()
    file.write_bytes(raw[: rng.randrange(8, len(raw))])
    return whole(file)


@kind
def truncated_inside_its_length(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(file.read_bytes()[: rng.randrange(0, 8)])
    return whole(file)


@kind
def longer_than_its_header_says(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(file.read_bytes() + rng.randbytes(rng.randrange(1, 999)))
    return whole(file)


@kind
def garbage_in_the_header(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    raw = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", raw[:8])
    at = rng.randrange(8, length - 8)
    raw[at : at + 16] = bytes(rng.randrange(128, 256) for _ in range(16))
    file.write_bytes(raw)
    return whole(file)


@kind
def random_bytes(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(b"\xff" + rng.randbytes(rng.randrange(8, 5000)))
    return whole(file)


@kind
def huge_header_length(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(struct.pack("<Q", rng.randrange(1 << 33, 1 << 63)) + file.read_bytes()[8:])
    return whole(file)


@kind
def empty_file(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(b"")
    return whole(file)


@kind
def no_tensor(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    write_header(file, b"{}", b"")
    return escaped(file.name), "holds no tensor"


@kind
def a_folder_of_that_name(folder: Path, rng: random.Random) -> Patterns:
    file = rng.choice([a_weight_file(folder, rng), a_json(folder, rng)])
    file.unlink()
    file.mkdir()
    return escaped(file.name), "is a folder, must be a file"


@kind
def weights_are_gone(folder: Path, rng: random.Random) -> Patterns:
    file = a_shard(folder, rng)
    file.unlink()
    return escaped(file.name), "is missing"


@kind
def zipped_pickle_renamed(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    torch.save(read(file), file)
    return escaped(file.name), "is a pickle under another name"


@kind
def plain_pickle_renamed(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.write_bytes(pickle.dumps({"weights": [0.0]}, protocol=rng.randrange(2, 6)))
    return escaped(file.name), "is a pickle under another name"


@kind
def pickles_only(folder: Path, rng: random.Random) -> Patterns:
    for file in [*(folder / "model").glob("model*")]:
        file.unlink()
    name = rng.choice(["pytorch_model.bin", "model.pt", "consolidated.00.pth", "weights.pkl"])
    torch.save({}, folder / "model" / name)
    return escaped(name), "are pickles, which are never loaded"


@kind
def lfs_pointer(folder: Path, rng: random.Random) -> Patterns:
    file = rng.choice([a_weight_file(folder, rng), a_json(folder, rng)])
    file.write_bytes(LFS % rng.getrandbits(256))
    return escaped(file.name), "is a Git LFS pointer"


@kind
def link_out_of_the_folder(folder: Path, rng: random.Random) -> Patterns:
    file = rng.choice([a_weight_file(folder, rng), a_json(folder, rng)])
    shutil.move(file, folder / file.name)
    file.symlink_to(folder / file.name)
    return escaped(file.name), "is a link that leaves its folder"


@kind
def link_to_nowhere(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    file.unlink()
    file.symlink_to("gone.safetensors")
    return escaped(file.name), "is missing"
