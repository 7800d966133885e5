"""Ways to break a checkpoint or an adapter, each with what the refusal must name: the file, and the reason.

A kind takes a folder that loads (a two-shard Qwen2.5-VL with a side branch in `model/`, an adapter in `adapter/`),
breaks it with a random generator's help and returns two patterns, of the file and of the reason.
"""

import json
import pickle
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
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


# --- what the kinds share ---------------------------------------------------------------------------------------------


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


# --- files that are none ----------------------------------------------------------------------------------------------


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


# --- headers ----------------------------------------------------------------------------------------------------------


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


# --- tensors ----------------------------------------------------------------------------------------------------------


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


# --- the index --------------------------------------------------------------------------------------------------------


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


# --- configuration and tokenizer --------------------------------------------------------------------------------------


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


# --- manifest ---------------------------------------------------------------------------------------------------------


def write_manifest(folder: Path, edit: Callable[[dict[str, str]], object]) -> Path:
    import hashlib

    files = [path for path in sorted((folder / "model").iterdir()) if path.is_file()]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    edit(hashes)
    manifest = folder / "model/SHA256SUMS"
    manifest.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    return manifest


@kind
def manifest_with_another_hash(folder: Path, rng: random.Random) -> Patterns:
    name = rng.choice([a_shard(folder, rng).name, "config.json", "tokenizer.json", "skin_branch.safetensors"])
    write_manifest(folder, lambda hashes: hashes.update({name: f"{rng.getrandbits(256):064x}"}))
    return "SHA256SUMS", f"{escaped(name)} has SHA-256 [0-9a-f]{{64}}, not"


@kind
def manifest_without_a_weight_file(folder: Path, rng: random.Random) -> Patterns:
    name = rng.choice([a_shard(folder, rng).name, "skin_branch.safetensors"])
    write_manifest(folder, lambda hashes: hashes.pop(name))
    return "SHA256SUMS", f"{escaped(name)} is not listed"


@kind
def manifest_of_an_absent_file(folder: Path, rng: random.Random) -> Patterns:
    name = f"part-{rng.randrange(99)}.safetensors"
    write_manifest(folder, lambda hashes: hashes.update({name: "0" * 64}))
    return "SHA256SUMS", f"{escaped(name)} is missing"


@kind
def manifest_with_a_line_that_is_none(folder: Path, rng: random.Random) -> Patterns:
    manifest = write_manifest(folder, lambda hashes: None)
    lines = [
        "hello",
        "0" * 63 + "  config.json",
        "0" * 64 + " ",
        f"{'0' * 64}  ../config.json",
        "config.json  " + "0" * 64,
    ]
    manifest.write_text(manifest.read_text() + rng.choice(lines) + "\n")
    return "SHA256SUMS, line", "(is not `<SHA-256>  <file name>`|not a file of this folder)"


# --- the branch's record and the adapter ------------------------------------------------------------------------------


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
