"""Configurations, vocabularies and what they ask for."""

import random
import shutil
from pathlib import Path
from typing import Any

from tests.ml.corruptions.kinds import Patterns, a_json, edit_json, escaped, kind


@kind
def broken_json(folder: Path, rng: random.Random) -> Patterns:
    file = a_json(folder, rng)
    text = file.read_text()
    file.write_text(text[: rng.randrange(1, len(text) - 1)].rstrip() + rng.choice(["", "{", '"', "\x00"]))
    return escaped(file.name), "is not readable as JSON"


@kind
def json_of_another_kind(folder: Path, rng: random.Random) -> Patterns:
    file = a_json(folder, rng)
    file.write_text(rng.choice(["[]", "3", "null", '"config"', "[{}]"]))
    return escaped(file.name), "must hold a JSON object"


@kind
def own_code(folder: Path, rng: random.Random) -> Patterns:
    names = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json")
    file = folder / "model" / rng.choice(names)
    hook = {rng.choice(["auto_map", "custom_pipelines"]): {"AutoModel": "evil.Model"}}
    edit_json(file, lambda c: c.update(rng.choice([hook, {"inner": hook}, {"inner": [{"deep": hook}]}])))
    return escaped(file.name), "asks to run code of its own"


@kind
def another_model_type(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    types: list[Any] = ["llama", "evil", "", None, 7, ["qwen2_5_vl"], "bert"]
    edit_json(file, lambda config: config.update(model_type=rng.choice(types)))
    return escaped(file.name), "no image-and-text model of transformers"


@kind
def another_known_architecture(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    edit_json(file, lambda config: config.update(model_type=rng.choice(["qwen2_vl", "llava", "idefics3"])))
    return escaped(file.name), "names the architecture Qwen2_5_VLForConditionalGeneration"


@kind
def another_architecture(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    names: list[Any] = [["Evil"], ["LlamaForCausalLM"], ["SkinVLModelWithAdapter", "Evil"], "Evil", [3]]
    edit_json(file, lambda config: config.update(architectures=rng.choice(names)))
    return escaped(file.name), "names the architecture"


@kind
def other_sizes(folder: Path, rng: random.Random) -> Patterns:
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 72, "vocab_size": 300}
    key = rng.choice(sorted(sizes))
    edit_json(folder / "model/config.json", lambda config: config["text_config"].update({key: sizes[key]}))
    return "/model", "(must be|missing tensors)"


@kind
def absurd_sizes(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    part, key, value = rng.choice(
        [
            ("text_config", "num_hidden_layers", 10**9),
            ("text_config", "num_hidden_layers", -1),
            ("vision_config", "depth", 10**6),
            ("text_config", "hidden_size", 2**70),
            ("text_config", "vocab_size", 2**40),
        ]
    )
    edit_json(file, lambda config: config[part].update({key: value}))
    return escaped(file.name), "which no model has"


@kind
def sizes_that_are_none(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    key = rng.choice(["hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"])
    values: list[Any] = ["wide", None, [], {}, 3.5]
    edit_json(file, lambda config: config["text_config"].update({key: rng.choice(values)}))
    return escaped(file.name), "does not describe a|describes no network"


@kind
def quantised_already(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/config.json"
    method = rng.choice(["awq", "gptq", "bitsandbytes"])
    edit_json(file, lambda config: config.update(quantization_config={"quant_method": method, "bits": 4}))
    return escaped(file.name), "is quantised already"


@kind
def an_adapter_as_the_model(folder: Path, rng: random.Random) -> Patterns:
    shutil.copyfile(folder / "adapter/adapter_config.json", folder / "model/adapter_config.json")
    return r"adapter_config\.json", "this folder is an adapter"


@kind
def missing_configuration(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model" / rng.choice(["config.json", "tokenizer.json", "preprocessor_config.json"])
    file.unlink()
    return escaped(file.name), "(is missing|cannot be used)"


@kind
def nonsense_tokenizer(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/tokenizer.json"
    edit_json(file, lambda tokenizer: tokenizer.update(model=rng.choice([{}, {"type": "Nothing"}, [], 7])))
    return escaped(file.name), "cannot be used"


@kind
def too_many_tokens(folder: Path, rng: random.Random) -> Patterns:
    file = folder / "model/tokenizer.json"

    def grow(tokenizer: dict[str, Any]) -> None:
        last = max(token["id"] for token in tokenizer["added_tokens"])
        for number in range(rng.randrange(1, 9)):
            token = tokenizer["added_tokens"][-1] | {"id": last + 1 + number, "content": f"<more{number}>"}
            tokenizer["added_tokens"].append(token)

    edit_json(file, grow)
    return escaped(file.name), r"has \d+ tokens, the model knows \d+"


@kind
def another_image_token(folder: Path, rng: random.Random) -> Patterns:
    edit_json(folder / "model/config.json", lambda config: config.update(image_token_id=rng.randrange(200)))
    return r"tokenizer\.json", "has the image token"
