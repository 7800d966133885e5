"""An index that does not fit its shards."""

import random
import shutil
from pathlib import Path
from typing import Any

from tests.ml.corruptions.kinds import INDEX, Patterns, a_shard, change, edit_json, escaped, kind, read


@kind
def index_names_an_absent_file(folder: Path, rng: random.Random) -> Patterns:
    name = f"model-{rng.randrange(10**5):05}-of-99999.safetensors"
    edit_json(folder / "model" / INDEX, lambda i: i["weight_map"].update({rng.choice(sorted(i["weight_map"])): name}))
    return escaped(name), "is missing"


@kind
def index_names_an_absent_tensor(folder: Path, rng: random.Random) -> Patterns:
    name, shard = f"model.layers.{rng.randrange(99)}.nothing", a_shard(folder, rng).name
    edit_json(folder / "model" / INDEX, lambda index: index["weight_map"].update({name: shard}))
    return escaped(INDEX), f"in no shard: {escaped(name)}"


@kind
def index_lacks_a_tensor(folder: Path, rng: random.Random) -> Patterns:
    names: list[str] = []

    def edit(index: dict[str, Any]) -> None:
        names.append(rng.choice(sorted(index["weight_map"])))
        del index["weight_map"][names[0]]

    edit_json(folder / "model" / INDEX, edit)
    return escaped(INDEX), f"not in the index: {escaped(names[0])}"


@kind
def index_puts_a_tensor_elsewhere(folder: Path, rng: random.Random) -> Patterns:
    def edit(index: dict[str, Any]) -> None:
        shards = sorted(set(index["weight_map"].values()))
        name = rng.choice(sorted(index["weight_map"]))
        index["weight_map"][name] = next(s for s in shards if s != index["weight_map"][name])

    edit_json(folder / "model" / INDEX, edit)
    return escaped(INDEX), r"lies in model-\d+-of-\d+\.safetensors, not in"


@kind
def index_leaves_the_folder(folder: Path, rng: random.Random) -> Patterns:
    where = rng.choice(["../other.safetensors", "/etc/passwd", "sub/model.safetensors"])
    edit_json(folder / "model" / INDEX, lambda i: i["weight_map"].update({rng.choice(sorted(i["weight_map"])): where}))
    return escaped(INDEX), "points outside its folder"


@kind
def index_of_nothing(folder: Path, rng: random.Random) -> Patterns:
    maps: list[Any] = [{}, [], None, {"lm_head.weight": 3}, "model.safetensors"]
    edit_json(folder / "model" / INDEX, lambda index: index.update(weight_map=rng.choice(maps)))
    return escaped(INDEX), "lists no weights"


@kind
def the_same_tensor_in_two_shards(folder: Path, rng: random.Random) -> Patterns:
    first, second = sorted((folder / "model").glob("model-*.safetensors"))
    name = rng.choice(sorted(read(first)))
    change(second, lambda state: state.update({name: read(first)[name]}))
    return escaped(second.name), f"holds {escaped(name)}, which lies in {escaped(first.name)} too"


@kind
def a_single_file_beside_the_index(folder: Path, rng: random.Random) -> Patterns:
    shutil.copyfile(a_shard(folder, rng), folder / "model/model.safetensors")
    return escaped(INDEX), "remove the one that does not belong"
