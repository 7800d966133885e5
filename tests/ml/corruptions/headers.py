"""Headers that lie."""

import json
import random
from pathlib import Path

import torch
from torch import Tensor

from tests.ml.corruptions.kinds import (
    Patterns,
    a_matrix,
    a_weight_file,
    change,
    escaped,
    header_of,
    kind,
    whole,
    write_header,
)


@kind
def overlapping_tensors(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    header, data = header_of(file)
    name = rng.choice([key for key in header if key != "__metadata__" and header[key]["data_offsets"][0] > 8])
    begin, end = header[name]["data_offsets"]
    header[name]["data_offsets"] = [begin - 4, end - 4]
    write_header(file, json.dumps(header).encode(), data)
    return whole(file)


@kind
def shape_without_its_bytes(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    header, data = header_of(file)
    name = rng.choice([key for key in header if key != "__metadata__" and header[key]["shape"]])
    header[name]["shape"][0] += rng.randrange(1, 1 << 20)
    write_header(file, json.dumps(header).encode(), data)
    return whole(file)


@kind
def unknown_type(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    header, data = header_of(file)
    name = rng.choice([key for key in header if key != "__metadata__"])
    header[name]["dtype"] = "F31"
    write_header(file, json.dumps(header).encode(), data)
    return whole(file)


@kind
def twice_in_one_header(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    header, data = header_of(file)
    name = rng.choice([key for key in header if key != "__metadata__"])
    text = json.dumps(header)[:-1] + f", {json.dumps(name)}: {json.dumps(header[name])}}}"
    write_header(file, text.encode(), data)
    return escaped(file.name), f"names {escaped(name)} twice"


@kind
def whole_numbers(folder: Path, rng: random.Random) -> Patterns:
    file, kinds = a_weight_file(folder, rng), (torch.int8, torch.int64, torch.uint8, torch.bool, torch.float64)
    names: list[str] = []

    def edit(state: dict[str, Tensor]) -> None:
        names.append(a_matrix(state, rng))
        state[names[0]] = state[names[0]].to(rng.choice(kinds))

    change(file, edit)
    return escaped(file.name), f"weights must be F32, BF16, F16: {escaped(names[0])}"
