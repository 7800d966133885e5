"""From a folder to a model that can run: every tensor accounted for, nothing executed, nothing guessed."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, safe_open
from torch import Tensor, nn
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging as transformers_logging

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.checkpoint_files import (
    BRANCH_CONFIG_FILE,
    BRANCH_FILE,
    IN_PROJ,
    CheckpointError,
    hash_weights,
    is_branch_key,
    name_some,
    read_json,
    read_shapes,
    shard_files,
    to_current_name,
)
from modelhub.ml.processor import ImageTextProcessor, load_processor
from modelhub.ml.skingpt import BIAS_MODES, BiasMode, SkinGPT

ARCHITECTURES = ("Qwen2_5_VLForConditionalGeneration", "SkinVLModelWithAdapter")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")


@dataclass(frozen=True)
class LoadSpec:
    """What to load and how.

    `path`: checkpoint folder; `adapter`: folder that training wrote, or None. `bias_mode` None takes what the branch
    was trained with (recorded beside it), `all_steps` where nothing is recorded, `off` without a branch.
    """

    path: Path
    adapter: Path | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "cpu"
    attention: str = "sdpa"
    bias_mode: BiasMode | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {', '.join(PRECISIONS)}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention is {self.attention!r}, must be one of {', '.join(ATTENTIONS)}")
        if self.bias_mode is not None and self.bias_mode not in BIAS_MODES:
            raise ValueError(f"bias_mode is {self.bias_mode!r}, must be one of {', '.join(BIAS_MODES)}")


@dataclass
class Identity:
    """What was loaded: hashes of the weights, whether a branch works, and notes for whoever reads the output."""

    weights_sha256: str
    adapter_sha256: str | None
    branch_present: bool
    bias_mode: BiasMode
    parameters: int
    notes: list[str] = field(default_factory=list)


@dataclass
class LoadedModel:
    model: SkinGPT
    processor: ImageTextProcessor
    tokenizer: Any
    spec: LoadSpec
    identity: Identity
    end_token_ids: list[int]


def load(spec: LoadSpec, *, merge_adapter: bool = True) -> LoadedModel:
    """Load a checkpoint, its side branch and an adapter, in evaluation mode and without gradients.

    In float32 the adapter is folded into the weights (faster, equal to rounding) unless `merge_adapter` is False.
    Raises CheckpointError naming the file or the tensors.
    """
    folder = Path(spec.path)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    config = read_config(folder)
    shapes = {key: path for path in shard_files(folder) for key in [*read_shapes(path)]}
    backbone = load_backbone(folder, config, spec)
    sha256 = hash_weights(folder)
    notes: list[str] = []
    branch, branch_mode = load_branch(folder, shapes, config, notes)
    network: nn.Module = backbone
    if spec.adapter is not None:
        check_base(Path(spec.adapter), sha256)
        if (Path(spec.adapter) / BRANCH_FILE).exists():
            branch, branch_mode = load_branch(Path(spec.adapter), {}, config, notes)
        network = attach_adapter(backbone, Path(spec.adapter), merge=merge_adapter and spec.precision == "float32")
    mode = choose_bias_mode(spec, branch, branch_mode)
    if branch is not None:
        branch.to(spec.device)
    model = SkinGPT(network, branch, mode).eval().requires_grad_(False)
    processor = load_processor(folder)
    return LoadedModel(
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        spec=spec,
        identity=Identity(
            weights_sha256=sha256,
            adapter_sha256=hash_weights(Path(spec.adapter)) if spec.adapter else None,
            branch_present=branch is not None,
            bias_mode=mode,
            parameters=sum(p.numel() for p in model.parameters()),
            notes=notes,
        ),
        end_token_ids=set_end_tokens(model.qwen, folder, processor.tokenizer),
    )


def read_config(folder: Path) -> Qwen2_5_VLConfig:
    """Raises CheckpointError for another architecture or one that wants its own code run."""
    raw = read_json(folder / "config.json")
    if "auto_map" in raw:
        raise CheckpointError(f"{folder / 'config.json'} asks to run code of its own (auto_map); this is never done")
    if raw.get("model_type") != "qwen2_5_vl":
        raise CheckpointError(f"{folder / 'config.json'} says model_type {raw.get('model_type')!r}, not qwen2_5_vl")
    if unknown := set(raw.get("architectures") or []) - set(ARCHITECTURES):
        raise CheckpointError(f"{folder / 'config.json'} names the architecture {name_some(unknown)}, not supported")
    return Qwen2_5_VLConfig.from_dict(raw)


def load_backbone(folder: Path, config: Qwen2_5_VLConfig, spec: LoadSpec) -> Qwen2_5_VLForConditionalGeneration:
    check_backbone_keys(folder, config)
    transformers_logging.disable_progress_bar()  # a bar per load says nothing to a worker's log
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        str(folder),
        config=config,
        dtype=PRECISIONS[spec.precision],
        attn_implementation=spec.attention,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    ).to(spec.device)


def check_backbone_keys(folder: Path, config: Qwen2_5_VLConfig) -> None:
    """Compare names and shapes in the files with the architecture's before anything is read."""
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found: dict[str, tuple[int, ...]] = {}
    for path in shard_files(folder):
        for key, shape in read_shapes(path).items():
            if not is_branch_key(key):
                found[to_current_name(key)] = shape
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    problems = []
    if missing := set(expected) - set(found) - tied:
        problems.append(f"missing tensors: {name_some(missing)}")
    if unexpected := set(found) - set(expected):
        problems.append(f"unexpected tensors: {name_some(unexpected)}")
    for key in sorted(set(found) & set(expected)):
        if found[key] != expected[key]:
            problems.append(f"{key} is {list(found[key])}, must be {list(expected[key])}")
    if problems:
        raise CheckpointError(f"{folder} does not fit its config.json: " + "; ".join(problems[:8]))


def load_branch(
    folder: Path, shards: dict[str, Path], config: Qwen2_5_VLConfig, notes: list[str]
) -> tuple[SkinBranch | None, BiasMode | None]:
    """The side branch beside or inside the checkpoint and the bias mode recorded with it.

    Without `in_proj` (as the released shards very likely are) there is no branch, and a note says so.
    """
    file, described = folder / BRANCH_FILE, folder / BRANCH_CONFIG_FILE
    state: dict[str, Tensor] = {}
    if file.exists():
        read_shapes(file)
        state = load_file(file)
    else:
        for key in sorted(filter(is_branch_key, shards)):
            with safe_open(shards[key], "pt") as tensors:
                state[key] = tensors.get_tensor(key)
    if not state:
        return None, None
    source = file if file.exists() else folder
    if IN_PROJ not in state:
        notes.append(f"branch off: {IN_PROJ} is missing in {source.name}, so nothing of the branch can be computed")
        return None, None
    sizes: dict[str, Any] = read_json(described) if described.exists() else {}
    try:
        found = SkinBranchConfig.from_state(state, top_k=sizes.get("top_k", 2))
    except KeyError as error:
        raise CheckpointError(f"{source}: the side branch lacks {error.args[0]}") from error
    hidden = config.text_config.hidden_size
    if found.hidden != hidden:
        raise CheckpointError(f"{source}: the side branch is made for width {found.hidden}, the backbone has {hidden}")
    vision = config.vision_config
    patch_dim = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    if found.patch_dim != patch_dim:
        raise CheckpointError(
            f"{source}: the side branch reads patches of {found.patch_dim}, not of {patch_dim} numbers"
        )
    branch = SkinBranch(found)
    load_strictly(branch, state, source)
    return branch, sizes.get("bias_mode")


def load_strictly(module: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    try:
        module.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{source}: {' '.join(str(error).split())}") from error
    if broken := {key for key, value in state.items() if not bool(value.isfinite().all())}:
        raise CheckpointError(f"{source}: not a number in {name_some(broken)}")


def choose_bias_mode(spec: LoadSpec, branch: SkinBranch | None, recorded: BiasMode | None) -> BiasMode:
    if branch is None:
        if spec.bias_mode not in (None, "off"):
            raise CheckpointError(f"bias_mode {spec.bias_mode!r} needs a complete side branch; {spec.path} has none")
        return "off"
    return spec.bias_mode or recorded or "all_steps"


def check_base(adapter: Path, base_sha256: str) -> None:
    """Raises CheckpointError where the adapter was trained on other weights."""
    recorded = read_json(adapter / "provenance.json").get("base_sha256")
    if recorded != base_sha256:
        raise CheckpointError(
            f"{adapter} was trained on a base with SHA-256 {recorded}, the given base has {base_sha256}"
        )


def attach_adapter(backbone: nn.Module, adapter: Path, *, merge: bool) -> nn.Module:
    """Backbone with the LoRA weights of an adapter folder (unchanged where it holds a branch only)."""
    from peft import LoraConfig, set_peft_model_state_dict
    from peft.utils.save_and_load import get_peft_model_state_dict

    file = adapter / "adapter_model.safetensors"
    if not file.exists():
        if (adapter / BRANCH_FILE).exists():
            return backbone
        raise CheckpointError(f"{adapter} holds neither {file.name} nor {BRANCH_FILE}")
    read_shapes(file)
    settings = read_json(adapter / "adapter_config.json")
    if settings.get("peft_type") != "LORA" or settings.get("auto_mapping"):
        raise CheckpointError(f"{adapter / 'adapter_config.json'} is not a plain LoRA configuration")
    model = wrap_with_lora(backbone, LoraConfig.from_pretrained(str(adapter)))
    state = load_file(file)
    expected = {key: tuple(value.shape) for key, value in get_peft_model_state_dict(model).items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if wrong := {key for key in expected | found if expected.get(key) != found.get(key)}:
        raise CheckpointError(f"{file}: missing, unexpected or of another shape: {name_some(wrong)}")
    if broken := {key for key, value in state.items() if not bool(value.isfinite().all())}:
        raise CheckpointError(f"{file}: not a number in {name_some(broken)}")
    set_peft_model_state_dict(model, state)
    return model.merge_and_unload() if merge else model


def wrap_with_lora(backbone: nn.Module, config: Any) -> Any:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
        )  # peft's own call
        return get_peft_model(backbone, config)


def set_end_tokens(qwen: Any, folder: Path, tokenizer: Any) -> list[int]:
    """End tokens of checkpoint and tokenizer; sampling defaults that came with the checkpoint are dropped."""
    ends: set[int] = set()
    recorded = read_json(folder / "generation_config.json") if (folder / "generation_config.json").exists() else {}
    for value in (recorded.get("eos_token_id"), qwen.config.text_config.eos_token_id, tokenizer.eos_token_id):
        ends.update(value if isinstance(value, list) else [] if value is None else [value])
    if not ends:
        raise CheckpointError(f"{folder} names no end token (eos_token_id)")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    qwen.generation_config = GenerationConfig(eos_token_id=sorted(ends), pad_token_id=pad)
    return sorted(ends)
