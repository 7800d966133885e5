"""Ways to break a checkpoint or an adapter, each with what the refusal must name: the file, and the reason.

A kind takes a folder that loads (a two-shard Qwen2.5-VL with a side branch in `model/`, an adapter in `adapter/`),
breaks it with a random generator's help and returns two patterns, of the file and of the reason.
"""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load, save_file
from torch import Tensor

INDEX = "model.safetensors.index.json"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064x\nsize 4968243370\n"
Patterns = tuple[str, str]
Kind = Callable[[Path, random.Random], Patterns]
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    KINDS[function.__name__] = function
    return function


def a_shard(folder: Path, rng: random.Random) -> Path:
    return rng.choice(sorted((folder / "model").glob("model-*.safetensors")))


def a_weight_file(folder: Path, rng: random.Random) -> Path:
    branch, lora = folder / "model/skin_branch.safetensors", folder / "adapter/adapter_model.safetensors"
    return rng.choice([a_shard(folder, rng), branch, lora])


def a_json(folder: Path, rng: random.Random) -> Path:
    names = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json", INDEX)
    return folder / "model" / rng.choice([*names, "tokenizer.json"])


def read(file: Path) -> dict[str, Tensor]:
    """In memory: `load_file` would give windows on a file that is about to be written."""
    return load(file.read_bytes())


def change(file: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    state = read(file)
    edit(state)
    save_file(state, file, metadata={"format": "pt"})


def a_matrix(state: dict[str, Tensor], rng: random.Random) -> str:
    return rng.choice(sorted(key for key, value in state.items() if value.dim() == 2 and value.shape[0] > 2))


def edit_json(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def header_of(file: Path) -> tuple[dict[str, Any], bytes]:
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_header(file: Path, header: bytes, data: bytes) -> None:
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)


def escaped(text: str) -> str:
    return text.replace(".", r"\.")


def whole(file: Path) -> Patterns:
    return escaped(file.name), "not a whole safetensors file"
