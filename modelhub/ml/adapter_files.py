"""An adapter folder: LoRA weights, side branch and provenance, written whole or not at all."""

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from modelhub.ml.branch import SkinBranch
from modelhub.ml.checkpoint_files import BRANCH_CONFIG_FILE, BRANCH_FILE
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_checkpoint import write_json


def write_adapter(folder: Path, model: SkinGPT, provenance: dict[str, Any]) -> None:
    """LoRA and branch (whichever the model has) with provenance; the folder appears whole or not at all."""
    from peft import PeftModel
    from peft.utils.save_and_load import get_peft_model_state_dict

    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if isinstance(model.backbone, PeftModel):
        state = get_peft_model_state_dict(model.backbone)
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, draft / "adapter_model.safetensors")
        config = model.backbone.peft_config["default"]
        config.inference_mode = True
        config.base_model_name_or_path = None  # a path would tie the adapter to one machine; the hash binds it
        config.save_pretrained(str(draft))
    if model.branch is not None:
        save_branch(draft, model.branch, model.bias_mode)
    write_json(draft / "provenance.json", provenance)
    draft.rename(folder)


def save_branch(folder: Path, branch: SkinBranch, bias_mode: str) -> None:
    """float32 weights under the reference's names, sizes and bias mode beside them."""
    state = {key: value.detach().cpu().contiguous().clone() for key, value in branch.state_dict().items()}
    save_file(state, folder / BRANCH_FILE)
    sizes = {f.name: getattr(branch.config, f.name) for f in fields(branch.config)}
    write_json(folder / BRANCH_CONFIG_FILE, sizes | {"bias_mode": bias_mode})
