"""The converted encoder against PanDerm's published evaluation, written down here independently."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.panderm import convert
from modelhub.ml.teacher_encoder import load_encoder

WIDTH, HEADS, LAYERS = 128, 2, 2


def random_release() -> dict[str, Tensor]:
    """Names and shapes of the released file, small."""
    torch.manual_seed(0)

    def normal(*shape: int, scale: float = 0.1) -> Tensor:
        return torch.randn(*shape) * scale

    state = {
        "cls_token": normal(1, 1, WIDTH),
        "pos_embed": normal(1, 197, WIDTH, scale=1.0),
        "patch_embed.proj.weight": normal(WIDTH, 3, 16, 16, scale=0.03),
        "patch_embed.proj.bias": normal(WIDTH),
        "norm.weight": 1 + normal(WIDTH),
        "norm.bias": normal(WIDTH),
    }
    for i in range(LAYERS):
        state |= {
            f"blocks.{i}.norm1.weight": 1 + normal(WIDTH),
            f"blocks.{i}.norm1.bias": normal(WIDTH),
            f"blocks.{i}.attn.q_bias": normal(WIDTH),
            f"blocks.{i}.attn.v_bias": normal(WIDTH),
            f"blocks.{i}.attn.qkv.weight": normal(3 * WIDTH, WIDTH),
            f"blocks.{i}.attn.proj.weight": normal(WIDTH, WIDTH),
            f"blocks.{i}.attn.proj.bias": normal(WIDTH),
            f"blocks.{i}.norm2.weight": 1 + normal(WIDTH),
            f"blocks.{i}.norm2.bias": normal(WIDTH),
            f"blocks.{i}.mlp.fc1.weight": normal(4 * WIDTH, WIDTH),
            f"blocks.{i}.mlp.fc1.bias": normal(4 * WIDTH),
            f"blocks.{i}.mlp.fc2.weight": normal(WIDTH, 4 * WIDTH),
            f"blocks.{i}.mlp.fc2.bias": normal(WIDTH),
            f"blocks.{i}.gamma_1": 0.1 + normal(WIDTH, scale=0.02),
            f"blocks.{i}.gamma_2": 0.1 + normal(WIDTH, scale=0.02),
        }
    return state


def published_features(state: dict[str, Tensor], image: Image.Image) -> Tensor:
    """The class token after the last norm, [width]; 256 on the shorter side, 224 from the centre."""
    scale = 256 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    pixels = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.228, 0.224, 0.225])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    x = functional.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
    x = torch.cat([state["cls_token"], x.flatten(2).transpose(1, 2)], dim=1) + state["pos_embed"]
    for i in range(LAYERS):
        x = block(
            {key.removeprefix(f"blocks.{i}."): v for key, v in state.items() if key.startswith(f"blocks.{i}.")}, x
        )
    return functional.layer_norm(x, (WIDTH,), state["norm.weight"], state["norm.bias"], 1e-6)[0, 0]


def block(p: dict[str, Tensor], x: Tensor) -> Tensor:
    h = functional.layer_norm(x, (WIDTH,), p["norm1.weight"], p["norm1.bias"], 1e-6)
    bias = torch.cat([p["attn.q_bias"], torch.zeros(WIDTH), p["attn.v_bias"]])
    q, k, v = functional.linear(h, p["attn.qkv.weight"], bias).reshape(1, -1, 3, HEADS, 64).permute(2, 0, 3, 1, 4)
    attended = ((q * 64**-0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
    attended = attended.transpose(1, 2).reshape(1, -1, WIDTH)
    x = x + p["gamma_1"] * functional.linear(attended, p["attn.proj.weight"], p["attn.proj.bias"])
    h = functional.layer_norm(x, (WIDTH,), p["norm2.weight"], p["norm2.bias"], 1e-6)
    h = functional.gelu(functional.linear(h, p["mlp.fc1.weight"], p["mlp.fc1.bias"]))
    return x + p["gamma_2"] * functional.linear(h, p["mlp.fc2.weight"], p["mlp.fc2.bias"])


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (30, 41, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((410, 300), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("layout", ["large", "base"])
def test_the_converted_encoder_gives_the_published_features(tmp_path: Path, picture: Image.Image, layout: str) -> None:
    state = random_release()
    content: Any = state | {"head.weight": torch.zeros(7, WIDTH), "head.bias": torch.zeros(7)}
    if layout == "large":  # the pretraining's checkpoint, with its other networks and its arguments
        content = {"encoder." + key: value for key, value in state.items()}
        content = {"model": content | {"decoder.x": torch.ones(3)}, "args": Namespace(lr=1.0), "epoch": 499}
    torch.save(content, tmp_path / "release.pth")
    assert convert(tmp_path / "release.pth", tmp_path / "encoder") == WIDTH
    found = load_encoder(tmp_path / "encoder").encode([picture])[0]
    torch.testing.assert_close(found, published_features(state, picture), rtol=1e-4, atol=1e-4)


def test_positions_left_out_are_the_fixed_ones(tmp_path: Path, picture: Image.Image) -> None:
    state = random_release()
    del state["pos_embed"]
    torch.save(state, tmp_path / "release.pth")
    convert(tmp_path / "release.pth", tmp_path / "encoder")
    positions = torch.zeros(1, 197, WIDTH)
    for patch in range(196):
        for axis, place in enumerate((patch // 14, patch % 14)):
            for i in range(WIDTH // 4):
                angle = place / 10_000 ** (i / (WIDTH // 4))
                positions[0, 1 + patch, axis * WIDTH // 2 + i] = float(np.sin(angle))
                positions[0, 1 + patch, axis * WIDTH // 2 + WIDTH // 4 + i] = float(np.cos(angle))
    found = load_encoder(tmp_path / "encoder").encode([picture])[0]
    expected = published_features(state | {"pos_embed": positions}, picture)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/panderm-test-must-not-exist"),))


def test_nothing_in_the_file_is_executed(tmp_path: Path) -> None:
    torch.save({"model": random_release(), "evil": Evil()}, tmp_path / "release.pth")
    with pytest.raises(CheckpointError, match="cannot be read safely"):
        convert(tmp_path / "release.pth", tmp_path / "encoder")
    assert not Path("/tmp/panderm-test-must-not-exist").exists()
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize("spoil", ["missing", "extra", "shape", "empty"])
def test_other_weights_are_refused_by_name(tmp_path: Path, spoil: str) -> None:
    state = random_release()
    if spoil == "missing":
        del state["blocks.1.attn.proj.bias"]
    elif spoil == "extra":
        state["blocks.0.attn.relative_position_bias_table"] = torch.zeros(3)
    elif spoil == "shape":
        state["blocks.1.mlp.fc2.weight"] = torch.zeros(3, 3)
    else:
        state = {}
    torch.save(state, tmp_path / "release.pth")
    words = {"missing": "o_proj", "extra": "relative_position", "shape": "fc2", "empty": "no PanDerm encoder"}
    with pytest.raises(CheckpointError, match=words[spoil]):
        convert(tmp_path / "release.pth", tmp_path / "encoder")
