"""From a folder or a hub id to a model that can run: every tensor accounted for, nothing executed, nothing guessed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from modelhub.ml.adapter_files import attach_lora, check_base, open_adapter
from modelhub.ml.backbone import build
from modelhub.ml.branch_files import StoredBranch, load_branch
from modelhub.ml.checkpoint import Checkpoint, check_adapter, open_checkpoint, read_contents
from modelhub.ml.checkpoint_files import CheckpointError, read_json
from modelhub.ml.comparison import load_comparison_processor
from modelhub.ml.hub_files import HubModel, fetch
from modelhub.ml.load_spec import LoadSpec, check_machine
from modelhub.ml.model_config import first_line
from modelhub.ml.processor import load_processor
from modelhub.ml.skingpt import BiasMode, SkinGPT

__all__ = ["CheckpointError", "HubModel", "Identity", "LoadSpec", "LoadedModel", "load"]


@dataclass
class Identity:
    """What was loaded: hashes of the weights, whether a branch works, and notes for whoever reads the output.

    `comparison`: another architecture than SkinGPT-R1's. `revision`: the hub's commit, None for a local folder.
    """

    weights_sha256: str
    adapter_sha256: str | None
    branch_present: bool
    bias_mode: BiasMode
    parameters: int
    notes: list[str] = field(default_factory=list)
    comparison: bool = False
    revision: str | None = None
    precision: str = "float32"
    quantisation: str = "none"
    attention: str = "sdpa"


@dataclass
class LoadedModel:
    """`folder`: where the files are. `processor`: Qwen2.5-VL's, or a comparison model's own."""

    model: SkinGPT
    processor: Any
    tokenizer: Any
    spec: LoadSpec
    identity: Identity
    end_token_ids: list[int]
    folder: Path


def load(spec: LoadSpec, *, merge_adapter: bool = True) -> LoadedModel:
    """Load a checkpoint, its side branch and an adapter, in evaluation mode and without gradients.

    In float32 the adapter is folded into the weights (faster, equal to rounding) unless `merge_adapter` is False.
    Raises CheckpointError naming the file or the tensors, ValueError where this machine lacks what the spec asks for.
    """
    check_machine(spec)
    folder, revision = fetch(spec.source) if isinstance(spec.source, HubModel) else (Path(spec.source), None)
    checkpoint = open_checkpoint(folder)
    adapter = open_adapter(Path(spec.adapter)) if spec.adapter is not None else None
    if adapter is not None:
        check_adapter(adapter, checkpoint)
    contents = read_contents(folder, spec.manifest)
    adapter_sha256 = None
    if adapter is not None:
        check_base(adapter, contents.sha256)
        adapter_sha256 = read_contents(adapter.folder).sha256
    stored = adapter.branch if adapter is not None and adapter.branch is not None else checkpoint.branch
    mode = choose_bias_mode(spec, stored)
    processor = load_any_processor(checkpoint)
    network = build(checkpoint.tensors, checkpoint.config, spec, folder)
    if adapter is not None:
        network = attach_lora(network, adapter, merge=merge_adapter and spec.precision == "float32")
    branch = load_branch(stored).to(spec.device) if stored is not None and stored.config is not None else None
    model = SkinGPT(network, branch, mode).eval().requires_grad_(False)
    identity = Identity(
        weights_sha256=contents.sha256,
        adapter_sha256=adapter_sha256,
        branch_present=branch is not None,
        bias_mode=mode,
        parameters=sum(p.numel() for p in model.parameters()),
        notes=[] if branch is not None else checkpoint.notes,
        comparison=not checkpoint.config.own,
        revision=revision,
        precision=spec.precision,
        quantisation=spec.quantisation,
        attention=spec.attention,
    )
    ends = set_end_tokens(model.qwen, folder, processor.tokenizer)
    return LoadedModel(model, processor, processor.tokenizer, spec, identity, ends, folder)


def choose_bias_mode(spec: LoadSpec, stored: StoredBranch | None) -> BiasMode:
    if stored is None or stored.config is None:
        if spec.bias_mode not in (None, "off"):
            raise CheckpointError(f"bias_mode {spec.bias_mode!r} needs a complete side branch; {spec.source} has none")
        return "off"
    return spec.bias_mode or stored.bias_mode or "all_steps"


def load_any_processor(checkpoint: Checkpoint) -> Any:
    """Tokenizer, chat template and image processor. Raises CheckpointError where the folder lacks one of them, or they
    are another model's."""
    folder, parsed = checkpoint.folder, checkpoint.config.parsed
    try:
        if checkpoint.config.own:
            processor: Any = load_processor(folder)
        else:
            processor = load_comparison_processor(folder, checkpoint.network)
    except Exception as error:  # tokenizers raises plain exceptions
        raise CheckpointError(
            f"{folder}: tokenizer.json, tokenizer_config.json or preprocessor_config.json cannot be used: "
            f"{first_line(error)}"
        ) from error
    vocabulary = checkpoint.network.get_input_embeddings().weight.shape[0]
    if len(processor.tokenizer) > vocabulary:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} has {len(processor.tokenizer)} tokens, the model knows {vocabulary}"
        )
    if checkpoint.config.own and processor.image_token_id != parsed.image_token_id:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} has the image token {processor.image_token_id}, "
            f"config.json says {parsed.image_token_id}"
        )
    return processor


def set_end_tokens(network: Any, folder: Path, tokenizer: Any) -> list[int]:
    """End tokens of checkpoint and tokenizer; sampling defaults that came with the checkpoint are dropped."""
    ends: set[int] = set()
    recorded = read_json(folder / "generation_config.json") if (folder / "generation_config.json").exists() else {}
    text = getattr(network.config, "text_config", network.config)
    for value in (recorded.get("eos_token_id"), getattr(text, "eos_token_id", None), tokenizer.eos_token_id):
        ends.update(value if isinstance(value, list) else [] if value is None else [value])
    if not ends:
        raise CheckpointError(f"{folder} names no end token (eos_token_id)")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    network.generation_config = GenerationConfig(eos_token_id=sorted(ends), pad_token_id=pad)
    return sorted(ends)
