"""The branch's record, and adapters."""

import random
from pathlib import Path
from typing import Any

import torch

from tests.ml.corruptions.kinds import INDEX, Patterns, a_shard, change, edit_json, escaped, kind, read


@kind
def recorded_sizes_of_another_branch(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/skin_branch.json"
    records = [{"embed": 25}, {"bias_mode": "sometimes"}, {"top_k": 9}, {"top_k": "two"}, {"width": 3}, {"layers": 7}]
    edit_json(file, lambda record: record.update(rng.choice(records)))
    return r"skin_branch\.(json|safetensors)", "(says|has unknown fields|do not fit together)"


@kind
def a_second_branch(folder: Path, rng: random.Random) -> Patterns:
    branch, shard = read(folder / "model/skin_branch.safetensors"), a_shard(folder, rng)
    name = rng.choice(sorted(branch))
    change(shard, lambda state: state.update({name: branch[name]}))
    edit_json(folder / "model" / INDEX, lambda index: index["weight_map"].update({name: shard.name}))
    return r"skin_branch\.safetensors", "the shards hold one too"


@kind
def adapter_of_another_base(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "adapter/provenance.json"
    hashes: list[Any] = [f"{rng.getrandbits(256):064x}", None, 7, ""]
    edit_json(file, lambda provenance: provenance.update(base_sha256=rng.choice(hashes)))
    return escaped(file.name), "trained on a base with SHA-256"


@kind
def adapter_without_a_file(folder: Path, rng: random.Random) -> Patterns:
    name = rng.choice(["provenance.json", "adapter_config.json", "adapter_model.safetensors"])
    (folder / "adapter" / name).unlink()
    return escaped(name), "(is missing|holds neither)"


@kind
def adapter_with_unknown_fields(folder: Path, rng: random.Random) -> Patterns:
    file, name = folder / "adapter/adapter_config.json", f"field_{rng.randrange(99)}"
    edit_json(file, lambda config: config.update({name: True}))
    return escaped(file.name), f"has unknown fields: {name}"


@kind
def adapter_that_is_no_plain_lora(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "adapter/adapter_config.json"
    more: list[dict[str, Any]] = [
        {"use_dora": True},
        {"use_rslora": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"base_model_name_or_path": "../other"},
        {"rank_pattern": {"q_proj": 9}},
        {"auto_mapping": {"base_model_class": "Evil"}},
        {"init_lora_weights": "pissa"},
        {"peft_type": "VERA"},
        {"layer_replication": [[0, 2]]},
    ]
    edit_json(file, lambda config: config.update(rng.choice(more)))
    return escaped(file.name), "(a plain LoRA has|must be 'LORA')"


@kind
def adapter_that_fits_no_layer(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "adapter/adapter_config.json"
    targets: list[Any] = ["nothing", "(", ["no_proj"], 7]
    edit_json(file, lambda config: config.update(target_modules=rng.choice(targets)))
    return escaped(file.name), "(does not fit this base|is no LoRA configuration)"


@kind
def adapter_of_another_rank(folder: Path, rng: random.Random) -> Patterns:
    rank = rng.choice([0, -1, "4", 2.5, None, True, 10**6])
    edit_json(folder / "adapter/adapter_config.json", lambda config: config.update(r=rank))
    return r"adapter_config\.json", "says r "


@kind
def adapter_whose_rank_is_another(folder: Path, rng: random.Random) -> Patterns:
    edit_json(folder / "adapter/adapter_config.json", lambda config: config.update(r=rng.randrange(5, 64)))
    return r"adapter_model\.safetensors", r"is \[\d+, \d+\], must be \[\d+, \d+\]"


@kind
def adapter_as_a_pickle(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "adapter/adapter_model.safetensors"
    torch.save({}, folder / "adapter" / rng.choice(["adapter_model.bin", "adapter_model.pt"]))
    file.unlink()
    return escaped(file.name), "holds neither"
