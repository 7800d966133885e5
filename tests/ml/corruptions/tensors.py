"""Tensors that are missing, extra, of another shape or no numbers."""

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.ml.corruptions.kinds import (
    INDEX,
    Patterns,
    a_matrix,
    a_shard,
    a_weight_file,
    change,
    edit_json,
    escaped,
    kind,
    read,
)


def spoil(folder: Path, rng: random.Random, value: float) -> Patterns:
    file = a_weight_file(folder, rng)
    names: list[str] = []

    def edit(state: dict[str, Tensor]) -> None:
        names.append(rng.choice(sorted(state)))
        flat = state[names[0]].reshape(-1)
        flat[rng.randrange(len(flat))] = value

    change(file, edit)
    return escaped(file.name), f"not a number, or infinite: {escaped(names[0])} in "


@kind
def not_a_number(folder: Path, rng: random.Random) -> Patterns:
    return spoil(folder, rng, float("nan"))


@kind
def infinite(folder: Path, rng: random.Random) -> Patterns:
    return spoil(folder, rng, rng.choice([float("inf"), float("-inf")]))


def place_of(file: Path) -> str:
    """Shards are spoken of by their folder, branch and adapter by their own file."""
    return r"/model: " if file.name.startswith("model-") else escaped(file.name)


@kind
def extra_tensors(folder: Path, rng: random.Random) -> Patterns:
    file = a_weight_file(folder, rng)
    names = sorted(f"distill_head.extra.{rng.randrange(10**6)}" for _ in range(rng.randrange(1, 12)))
    change(file, lambda state: state.update({name: torch.ones(1) for name in names}))
    if file.name.startswith("model-"):
        edit_json(folder / "model" / INDEX, lambda i: i["weight_map"].update(dict.fromkeys(names, file.name)))
        return r"skin_branch\.safetensors", "the shards hold one too"
    return escaped(file.name), f"unexpected tensors: {escaped(', '.join(names))}"


@kind
def extra_tensor_of_the_backbone(folder: Path, rng: random.Random) -> Patterns:
    file, name = a_shard(folder, rng), f"model.layers.{rng.randrange(2, 99)}.mlp.up_proj.weight"
    change(file, lambda state: state.update({name: torch.ones(2, 2)}))
    edit_json(folder / "model" / INDEX, lambda index: index["weight_map"].update({name: file.name}))
    return "/model: ", f"unexpected tensors: model.language_{escaped(name)}"


@kind
def missing_tensors(folder: Path, rng: random.Random) -> Patterns:
    file = rng.choice([a_shard(folder, rng), folder / "adapter/adapter_model.safetensors"])
    gone: list[str] = []

    def edit(state: dict[str, Tensor]) -> None:
        for _ in range(rng.randrange(1, 9)):
            gone.append(rng.choice(sorted(state)))
            del state[gone[-1]]

    change(file, edit)
    if file.name.startswith("model-"):
        edit_json(folder / "model" / INDEX, lambda i: [i["weight_map"].pop(name) for name in gone])
    return place_of(file), "missing tensors: .*" + escaped(rng.choice(gone).removeprefix("model."))


@kind
def missing_tensors_of_the_branch(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/skin_branch.safetensors"
    names = [key for key in read(file) if "in_proj" not in key]
    gone = rng.sample(names, rng.randrange(1, 4))
    change(file, lambda state: [state.pop(name) for name in gone])
    return escaped(file.name), "(missing tensors|lacks|unexpected tensors|shapes that do not fit)"


@kind
def wrong_shape(folder: Path, rng: random.Random) -> Patterns:
    file = rng.choice([a_shard(folder, rng), folder / "adapter/adapter_model.safetensors"])
    names: list[str] = []

    def edit(state: dict[str, Tensor]) -> None:
        names.append(a_matrix(state, rng))
        value = state[names[0]]
        state[names[0]] = value[: rng.randrange(1, len(value))].clone()

    change(file, edit)
    return place_of(file), escaped(names[0].removeprefix("model.")) + r" is \[[\d, ]+\], must be \[[\d, ]+\]"


@kind
def branch_of_another_width(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/skin_branch.safetensors"
    change(file, lambda state: state.update({"text_bias.2.weight": torch.ones(rng.randrange(33, 99), 6)}))
    return escaped(file.name), "is made for width"


@kind
def old_and_new_key_style(folder: Path, rng: random.Random) -> Patterns:
    file, names = a_shard(folder, rng), []

    def edit(state: dict[str, Tensor]) -> None:
        names.append(rng.choice(sorted(key for key in state if key.startswith(("visual.", "model.")))))
        new = names[0] if names[0].startswith("model.") else f"model.{names[0]}"
        new = new if names[0].startswith("visual.") else new.replace("model.", "model.language_model.", 1)
        names.append(new)
        state[new] = state[names[0]].clone()

    change(file, edit)
    edit_json(folder / "model" / INDEX, lambda index: index["weight_map"].update({names[1]: file.name}))
    return escaped(file.name), f"{escaped(names[1])} twice, in the old and in the new key style"


@kind
def ties_that_are_none(folder: Path, rng: random.Random) -> Patterns:
    def tie(config: dict[str, Any]) -> None:
        config["tie_word_embeddings"] = True

    edit_json(folder / "model/config.json", tie)
    return "model-0000", r"lm_head\.weight differs from .*embed_tokens\.weight, but config\.json ties them"
