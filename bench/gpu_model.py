"""A model with random weights, made where it will run: the 7 B shape without a download, or a tiny one for any machine.

Tokenizer and image processor are the tiny demo model's, which cut text and pictures the same way; the vocabulary keeps
the shape's own size, so every product has the size it has at 7 B.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.load_spec import LoadSpec
from modelhub.ml.loading import Identity, LoadedModel
from modelhub.ml.processor import ImageTextProcessor, load_processor
from modelhub.ml.skingpt import SkinGPT

TINY = Path(__file__).parent.parent / "modelhub" / "ml" / "weights" / "tiny"
MERGED = 28  # pixels, both ways, of one visual token


@dataclass(frozen=True)
class Shape:
    """Sizes of model and work. `visual`: (rows, columns) of visual tokens of the pictures that are tried."""

    name: str
    text: dict[str, int]
    vision: dict[str, int]
    mrope: tuple[int, int, int]
    branch: dict[str, int]
    precision: str
    visual: tuple[tuple[int, int], ...]
    batches: tuple[int, ...]
    new_tokens: int
    cases: int
    prompt_tokens: int
    answer_tokens: int
    straightforward_cases: int


SEVEN_B = Shape(
    name="7b",
    text={
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    vision={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584},
    mrope=(16, 24, 24),
    branch={},
    precision="bfloat16",
    visual=((16, 16), (32, 40)),
    batches=(1, 16, 64, 128),
    new_tokens=500,
    cases=512,
    prompt_tokens=100,
    answer_tokens=500,
    straightforward_cases=32,
)
TINY_SHAPE = Shape(
    name="tiny",
    text={
        "vocab_size": 2048,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    vision={"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64},
    mrope=(2, 3, 3),
    branch={"embed": 32, "layers": 1, "experts": 4, "expert_width": 8, "rank": 8, "teacher_width": 32},
    precision="float32",
    visual=((2, 2), (3, 4)),
    batches=(1, 4),
    new_tokens=12,
    cases=6,
    prompt_tokens=60,
    answer_tokens=40,
    straightforward_cases=4,
)
SHAPES = {shape.name: shape for shape in (SEVEN_B, TINY_SHAPE)}


def make_model(shape: Shape, device: str) -> LoadedModel:
    """Model and side branch with random weights on `device`; the backbone is never anywhere else."""
    processor = load_processor(TINY)
    config = make_config(shape, processor)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, shape.precision))
    torch.manual_seed(0)
    try:
        with torch.device(device):
            network = Qwen2_5_VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    ends = [processor.tokenizer.eos_token_id]
    network.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=processor.tokenizer.pad_token_id)
    branch = SkinBranch(SkinBranchConfig(hidden=shape.text["hidden_size"], **shape.branch)).to(device)
    torch.nn.init.normal_(branch.text_bias[2].weight, std=0.02)
    model = SkinGPT(network, branch, "all_steps").eval().requires_grad_(False)
    count = sum(p.numel() for p in model.parameters())
    identity = Identity("random weights", None, True, "all_steps", count, precision=shape.precision)
    spec = LoadSpec(TINY, precision=shape.precision, device=device)  # type: ignore[arg-type]
    return LoadedModel(model, processor, processor.tokenizer, spec, identity, ends, TINY)


def make_config(shape: Shape, processor: ImageTextProcessor) -> Qwen2_5_VLConfig:
    tokenizer = processor.tokenizer
    numbers = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config=shape.text
        | {
            "max_position_embeddings": 32_768,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(shape.mrope)},
            "bos_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config=shape.vision
        | {
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
        image_token_id=numbers("<|image_pad|>"),
        video_token_id=numbers("<|video_pad|>"),
        vision_start_token_id=numbers("<|vision_start|>"),
        vision_end_token_id=numbers("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    config._attn_implementation = "sdpa"
    return config


def draw_noise(folder: Path, rows: int, columns: int, count: int) -> list[Path]:
    """Pictures of random pixels that become exactly rows × columns visual tokens."""
    rng = np.random.default_rng(rows * 1000 + columns)
    paths = []
    for number in range(count):
        path = folder / f"noise-{rows}x{columns}-{number}.png"
        pixels = rng.integers(0, 256, (rows * MERGED, columns * MERGED, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, compress_level=1)
        paths.append(path)
    return paths


def words_of(processor: ImageTextProcessor, tokens: int, seed: int) -> str:
    """Text of about so many tokens, another for each seed."""
    rng = np.random.default_rng(seed)
    known = processor.tokenizer.vocab_size
    ids = rng.integers(300, known, tokens).tolist()
    return str(processor.tokenizer.decode(ids, skip_special_tokens=True)).replace("<", " ")
