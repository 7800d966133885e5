"""A random adapter, as training writes it."""

from pathlib import Path

import torch
from peft import LoraConfig

from modelhub.ml.adapter_files import wrap_with_lora, write_adapter
from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.checkpoint_files import hash_weights
from modelhub.ml.loading import LoadSpec, load

LORA = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=r".*\.self_attn\.[qv]_proj")
BRANCH_SIZES = {"embed": 24, "experts": 4, "expert_width": 8, "layers": 2, "rank": 6, "teacher_width": 10}


def make_adapter(folder: Path, base: Path, *, with_branch: bool, seed: int = 0) -> Path:
    """LoRA on the queries and values of both layers, all its matrices random, and a branch where asked for."""
    model = load(LoadSpec(base)).model
    torch.manual_seed(seed)
    model.backbone = wrap_with_lora(model.backbone, LORA)
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    model.branch = SkinBranch(SkinBranchConfig(hidden=32, **BRANCH_SIZES)) if with_branch else None
    model.bias_mode = "first_token" if with_branch else "off"
    write_adapter(folder, model, {"base_sha256": hash_weights(base)})
    return folder
