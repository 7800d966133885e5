"""PanDerm's released weights as an encoder folder that transformers loads.

PanDerm (Yan et al., Nature Medicine 2025; CC BY-NC-ND) is a ViT pretrained by CAE v2: absolute sine-cosine positions,
biases on query and value only, layer scale, a final layer norm whose class token is the feature. That is BEiT's
architecture, so the tensors are only renamed and the joint query-key-value matrix split. Its evaluation resizes the
shorter side to 256 (bilinear), crops 224 from the centre and divides by 0.228 in the red channel (not 0.229).
"""

import json
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from modelhub.ml.checkpoint_files import CheckpointError, name_some

IMAGE_SIDE, SHORTER_SIDE, PATCH, HEAD_WIDTH = 224, 256, 16, 64
BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
IN_BLOCK = {
    "norm1.weight": "layernorm_before.weight",
    "norm1.bias": "layernorm_before.bias",
    "norm2.weight": "layernorm_after.weight",
    "norm2.bias": "layernorm_after.bias",
    "attn.q_bias": "attention.q_proj.bias",
    "attn.v_bias": "attention.v_proj.bias",
    "attn.proj.weight": "attention.o_proj.weight",
    "attn.proj.bias": "attention.o_proj.bias",
    "mlp.fc1.weight": "mlp.fc1.weight",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight",
    "mlp.fc2.bias": "mlp.fc2.bias",
    "gamma_1": "lambda_1",
    "gamma_2": "lambda_2",
}
OUTSIDE = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}


def convert(weights: Path, out: Path) -> int:
    """Write `config.json`, `preprocessor_config.json` and `model.safetensors`; the encoder's width.

    Raises CheckpointError naming what is missing, unexpected or of another shape.
    """
    from transformers import BeitModel

    state = rename(read_tensors(weights))
    if "embeddings.cls_token" in state:
        state.setdefault("embeddings.position_embeddings", sine_cosine(state["embeddings.cls_token"].shape[-1]))
    if lacking := {"embeddings.cls_token", "layers.0.mlp.fc1.weight", "layernorm.weight"} - set(state):
        raise CheckpointError(f"{weights} holds no PanDerm encoder: {name_some(lacking)} cannot be made from it")
    config = beit_config(state)
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in BeitModel(config).state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if wrong := {key for key in expected | found if expected.get(key) != found.get(key)}:
        raise CheckpointError(f"{weights}: missing, unexpected or of another shape: {name_some(wrong)}")
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(json.dumps(preprocessing(), indent=1) + "\n")
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    return int(config.hidden_size)


def read_tensors(weights: Path) -> dict[str, Tensor]:
    """The encoder's tensors under their own names; the pretraining's decoder and heads are left out.

    The file is a pickle: only tensors, containers and an argument list are let through, nothing is called.
    """
    try:
        with torch.serialization.safe_globals([Namespace]):
            content: Any = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle can fail in any way
        raise CheckpointError(f"{weights} cannot be read safely: {str(error).splitlines()[0]}") from error
    content = content.get("model", content) if isinstance(content, dict) else {}
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if any(key.startswith("encoder.") for key in tensors):
        tensors = {key.removeprefix("encoder."): value for key, value in tensors.items() if key.startswith("encoder.")}
    return {key: value.float().contiguous() for key, value in tensors.items()}


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """BEiT's names; what belongs to a classifier or to pretraining is dropped."""
    state: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key in OUTSIDE:
            state[OUTSIDE[key]] = value
        elif found := BLOCK.fullmatch(key):
            state |= rename_in_block(f"layers.{found[1]}", found[2], value)
        elif not key.startswith(("head.", "fc_norm.", "mask_token", "lm_head.")):
            raise CheckpointError(f"unexpected tensor {key}: these are not PanDerm's weights")
    return state


def rename_in_block(layer: str, key: str, value: Tensor) -> dict[str, Tensor]:
    if key == "attn.qkv.weight":
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{layer}.attention.{part}_proj.weight": matrix.contiguous() for part, matrix in parts}
    if key not in IN_BLOCK:
        raise CheckpointError(f"unexpected tensor blocks.….{key}: these are not PanDerm's weights")
    return {f"{layer}.{IN_BLOCK[key]}": value}


def sine_cosine(width: int) -> Tensor:
    """Its fixed positions, [1, 1 + patches, width], for a file that left them out; the class token's is zero."""
    side = IMAGE_SIDE // PATCH
    quarter = width // 4
    omega = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    first, second = torch.meshgrid(torch.arange(side).float(), torch.arange(side).float(), indexing="ij")
    angles = [axis.reshape(-1, 1) * omega for axis in (first, second)]
    grid = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)
    return torch.cat([torch.zeros(1, width), grid])[None]


def beit_config(state: dict[str, Tensor]) -> Any:
    """Sizes as the tensors' shapes give them; heads are 64 wide."""
    from transformers import BeitConfig

    width = state["layernorm.weight"].shape[0]
    layers = {key.split(".")[1] for key in state if key.startswith("layers.")}
    return BeitConfig(
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=state["layers.0.mlp.fc1.weight"].shape[0],
        image_size=IMAGE_SIDE,
        patch_size=PATCH,
        layer_norm_eps=1e-6,
        use_absolute_position_embeddings=True,
        use_mean_pooling=False,
        use_mask_token=False,
        drop_path_rate=0.0,
    )


def preprocessing() -> dict[str, Any]:
    return {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": SHORTER_SIDE},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.228, 0.224, 0.225],
    }
