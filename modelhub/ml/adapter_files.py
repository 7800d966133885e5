"""An adapter folder: LoRA weights, side branch and provenance. Written whole or not at all, read with every doubt."""

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from modelhub.ml.branch_files import StoredBranch, find_branch, save_branch
from modelhub.ml.checkpoint_files import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_FILE,
    BRANCH_FILE,
    PROVENANCE_FILE,
    CheckpointError,
    check_asks_for_no_code,
    check_tensors,
    read_json,
)
from modelhub.ml.model_config import first_line
from modelhub.ml.safetensors_header import StoredTensor, check_floats, read_header, read_tensors
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_checkpoint import write_json

# what a plain LoRA may choose; every other field of PEFT's must stand at its default
OWN_CHOICES = ("r", "lora_alpha", "lora_dropout", "target_modules", "inference_mode", "peft_version", "task_type")
HIGHEST_RANK = 4096


@dataclass(frozen=True)
class StoredAdapter:
    """`lora`: tensors by name, empty where the adapter is a branch only; `config`: PEFT's, None likewise."""

    folder: Path
    provenance: Mapping[str, Any]
    lora: Mapping[str, StoredTensor]
    config: Any
    branch: StoredBranch | None


def open_adapter(folder: Path) -> StoredAdapter:
    """An adapter by its headers and JSON files; no weight is read.

    Raises CheckpointError where a file is missing or broken, or the configuration is more than a plain LoRA.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    provenance = read_json(folder / PROVENANCE_FILE)
    branch = find_branch(folder, {})
    has_lora = (folder / ADAPTER_FILE).exists() or (folder / ADAPTER_FILE).is_symlink()
    if not has_lora and branch is None:
        raise CheckpointError(f"{folder} holds neither {ADAPTER_FILE} nor {BRANCH_FILE}")
    lora = read_header(folder / ADAPTER_FILE) if has_lora else {}
    check_floats(lora)
    return StoredAdapter(folder, provenance, lora, read_lora_config(folder) if has_lora else None, branch)


def read_lora_config(folder: Path) -> Any:
    """PEFT's configuration of a plain LoRA. Raises CheckpointError for anything beyond it, naming the field."""
    from peft import LoraConfig

    path = folder / ADAPTER_CONFIG_FILE
    settings = read_json(path)
    check_asks_for_no_code(path, settings)
    if settings.get("peft_type") != "LORA":
        raise CheckpointError(f"{path} says peft_type {settings.get('peft_type')!r}, must be 'LORA'")
    plain = LoraConfig().to_dict()
    if unknown := sorted(set(settings) - set(plain)):
        raise CheckpointError(f"{path} has unknown fields: {', '.join(unknown)}")
    for name, value in settings.items():
        if name not in OWN_CHOICES and name != "peft_type" and value != plain[name]:
            raise CheckpointError(f"{path} says {name} {value!r}; a plain LoRA has {plain[name]!r}")
    rank = settings.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < rank <= HIGHEST_RANK:
        raise CheckpointError(f"{path} says r {rank!r}, must be a whole number from 1 to {HIGHEST_RANK}")
    chosen = {name: settings[name] for name in OWN_CHOICES if name in settings and name != "peft_version"}
    try:
        return LoraConfig(**chosen)
    except Exception as error:  # whatever a broken value sets off in there
        raise CheckpointError(f"{path} is no LoRA configuration: {first_line(error)}") from error


def check_base(adapter: StoredAdapter, base_sha256: str) -> None:
    """Raises CheckpointError where the adapter was trained on other weights."""
    recorded = adapter.provenance.get("base_sha256")
    if recorded != base_sha256:
        raise CheckpointError(
            f"{adapter.folder / PROVENANCE_FILE}: trained on a base with SHA-256 {recorded}, "
            f"the given base has {base_sha256}"
        )


def check_lora(adapter: StoredAdapter, network: nn.Module) -> None:
    """Hold LoRA's tensors against the layers that its configuration chooses in an outline of the network (which is
    changed). Raises CheckpointError naming every tensor that is missing, unexpected or of another shape."""
    from peft.utils.save_and_load import get_peft_model_state_dict

    if adapter.config is None:
        return
    try:
        model = wrap_with_lora(network, adapter.config)
    except Exception as error:  # a pattern that is none, or that finds no layer
        raise CheckpointError(
            f"{adapter.folder / ADAPTER_CONFIG_FILE} does not fit this base: {first_line(error)}"
        ) from error
    expected = {
        key: tuple(value.shape) for key, value in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    found = {key: tensor.shape for key, tensor in adapter.lora.items()}
    check_tensors(adapter.folder / ADAPTER_FILE, found, expected)


def attach_lora(backbone: nn.Module, adapter: StoredAdapter, *, merge: bool) -> nn.Module:
    """Backbone with the LoRA weights of an adapter that `check_lora` let pass (unchanged where it is a branch only)."""
    from peft import set_peft_model_state_dict

    if adapter.config is None:
        return backbone
    model = wrap_with_lora(backbone, adapter.config)
    set_peft_model_state_dict(model, read_tensors(adapter.lora))
    return model.merge_and_unload() if merge else model


def wrap_with_lora(backbone: nn.Module, config: Any) -> Any:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
        )  # peft's own call
        return get_peft_model(backbone, config)


def write_adapter(folder: Path, model: SkinGPT, provenance: dict[str, Any]) -> None:
    """LoRA and branch (whichever the model has) with provenance; the folder appears whole or not at all."""
    from peft import PeftModel
    from peft.utils.save_and_load import get_peft_model_state_dict

    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if isinstance(model.backbone, PeftModel):
        state = get_peft_model_state_dict(model.backbone, save_embedding_layers=False)
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, draft / ADAPTER_FILE)
        config = model.backbone.peft_config["default"]
        config.inference_mode = True
        config.base_model_name_or_path = None  # a path would tie the adapter to one machine; the hash binds it
        config.save_pretrained(str(draft))
    if model.branch is not None:
        save_branch(draft, model.branch, model.bias_mode)
    write_json(draft / PROVENANCE_FILE, provenance)
    draft.rename(folder)
