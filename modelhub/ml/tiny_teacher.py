"""The tiny teacher: an image encoder of drawn lesions, so that visual distillation has something to learn from.

A small ViT (BEiT's form, whose pooled output is the mean over patches) that learns to read all attributes and the
diagnosis, of every skin tone. Its heads are dropped; the pooled vector is the feature.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from transformers import BeitConfig, BeitModel

from modelhub.ml.synthetic.lesion import ATTRIBUTES, DIAGNOSES, Lesion, diagnosis
from modelhub.ml.teacher_encoder import load_encoder
from modelhub.ml.tiny_data import MEAN, PATCH, SIDE, STD, DrawnSet, draw_set, turned
from modelhub.ml.tiny_model import write_json

SEED = 77  # other drawings than the tiny model's (42) and any held-out set
SIZE_LIMIT = 3_000_000  # bytes of the whole folder
EVEN_TONES = dict.fromkeys(ATTRIBUTES["skin_tone"], 1 / 3)
READS = {**ATTRIBUTES, "diagnosis": DIAGNOSES}
STEPS, BATCH, RATE, WARM_UP = 1300, 40, 2e-3, 60
PROBED = 1500  # training drawings that the card's linear readings are fitted on
Log = Callable[[str], None]


def make_teacher(
    *, out: Path, seed: int, drawings: int, held_out: int, cache: Path, log: Log = print
) -> dict[str, Any]:
    """Draw, train, measure and write the encoder's folder with its card; returns what the card is made of.

    Raises ValueError when the folder grows past `SIZE_LIMIT`.
    """
    began = time.monotonic()
    torch.manual_seed(seed)
    log("drawing")
    drawn = draw_set(count=drawings, seed=seed, tones=EVEN_TONES, cache=cache)
    model = BeitModel(config())
    train_teacher(model, drawn, seed=seed, steps=STEPS, log=log)
    save_teacher(model, out)
    checked = draw_set(count=held_out, seed=seed + 1, tones=EVEN_TONES, cache=cache)
    facts: dict[str, Any] = {
        "seed": seed,
        "drawings": drawings,
        "parameters": sum(value.numel() for value in model.parameters()),
        "width": model.config.hidden_size,
        "held_out_seed": seed + 1,
        "held_out": linear_readings(out, drawn, checked),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    write_json(out / "training.json", facts)
    (out / "README.md").write_text(card(facts))
    facts["bytes"] = sum(file.stat().st_size for file in out.iterdir())
    if facts["bytes"] > SIZE_LIMIT:
        raise ValueError(f"{out} holds {facts['bytes']:,} bytes; the tiny teacher must stay under {SIZE_LIMIT:,}.")
    return facts


def config() -> BeitConfig:
    return BeitConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        image_size=SIDE,
        patch_size=PATCH,
        use_absolute_position_embeddings=True,
        use_mean_pooling=True,
        use_mask_token=False,
        layer_scale_init_value=1.0,
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def train_teacher(model: BeitModel, drawn: DrawnSet, *, seed: int, steps: int, log: Log = print) -> None:
    """Cross-entropy of one linear reading per attribute and of the diagnosis, added up; in place."""
    heads = nn.Linear(model.config.hidden_size, sum(map(len, READS.values())))
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    rng = np.random.default_rng(seed)
    wanted, order = truths(drawn.lesions), np.array([], dtype=np.int64)
    began = time.monotonic()
    model.train()
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = rng.permutation(len(drawn))
        chosen, order = order[:BATCH], order[BATCH:]
        logits = heads(model(to_pixels(turned(drawn.pixels[chosen], rng))).pooler_output)
        losses = [functional.cross_entropy(part, wanted[chosen, i]) for i, part in enumerate(by_reading(logits))]
        loss = torch.stack(losses).sum()
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate(step, steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps:
            log(f"teacher {step}/{steps} loss {loss.item():.3f} {time.monotonic() - began:.0f} s")
    model.eval()


def rate(step: int, steps: int) -> float:
    return min(1.0, step / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def truths(lesions: list[Lesion]) -> torch.Tensor:
    """[n, readings]: the place of each value in `READS`."""
    rows = [
        [READS[name].index(value) for name, value in (item.as_dict() | {"diagnosis": diagnosis(item)}).items()]
        for item in lesions
    ]
    return torch.tensor(rows)


def by_reading(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return logits.split([len(values) for values in READS.values()], dim=1)


def to_pixels(pictures: np.ndarray) -> torch.Tensor:
    """uint8 [n, rows, columns, 3] as the image processor's `pixel_values`."""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 255
    return ((values - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def save_teacher(model: BeitModel, out: Path) -> None:
    """A folder that transformers loads: float16 weights, the tiny model's resizing."""
    out.mkdir(parents=True, exist_ok=True)
    model.config.architectures = ["BeitModel"]
    model.config.save_pretrained(out)
    tensors = {name: value.detach().to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": int(Image.Resampling.BICUBIC),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }
    (out / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")


def linear_readings(folder: Path, drawn: DrawnSet, checked: DrawnSet) -> dict[str, dict[str, float | int]]:
    """Shares that ridge regression reads rightly from the shipped encoder's features, by skin tone and overall."""
    known, fresh = features(folder, drawn.pixels[:PROBED]), features(folder, checked.pixels)
    wanted, right = truths(drawn.lesions[:PROBED]), []
    for i, values in enumerate(READS.values()):
        weights = ridge(known, functional.one_hot(wanted[:, i], len(values)).double())
        right.append(((fresh @ weights).argmax(1) == truths(checked.lesions)[:, i]).double())
    tones = np.array([item.skin_tone for item in checked.lesions])
    groups = {tone: torch.from_numpy(tones == tone) for tone in EVEN_TONES} | {
        "all": torch.ones(len(tones), dtype=torch.bool)
    }
    return {
        name: {"n": int(chosen.sum())}
        | {read: round(float(row[chosen].mean()), 3) for read, row in zip(READS, right, strict=True)}
        for name, chosen in groups.items()
    }


def features(folder: Path, pixels: np.ndarray) -> torch.Tensor:
    """[n, width + 1] float64 by the same path as `make-teacher-features`, with a constant behind."""
    encoder = load_encoder(folder)
    parts = [encoder.encode([Image.fromarray(item) for item in pixels[i : i + 50]]) for i in range(0, len(pixels), 50)]
    found = torch.cat(parts).double()
    return torch.cat([found, torch.ones(len(found), 1, dtype=torch.float64)], dim=1)


def ridge(known: torch.Tensor, wanted: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    return torch.linalg.solve(
        known.T @ known + strength * torch.eye(known.shape[1], dtype=known.dtype), known.T @ wanted
    )


def card(facts: dict[str, Any]) -> str:
    """The model card in Markdown."""
    head = "| drawings | n | " + " | ".join(name.replace("_", " ") for name in READS) + " |"
    rows = [
        f"| {name} | {row['n']} | " + " | ".join(f"{row[key]:.2f}" for key in READS) + " |"
        for name, row in facts["held_out"].items()
    ]
    return CARD.format(
        table="\n".join([head, "|---" * (len(READS) + 2) + "|", *rows]),
        version_names=", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        steps=STEPS,
        batch=BATCH,
        rate=RATE,
        side=SIDE,
        patch=PATCH,
        probed=min(PROBED, facts["drawings"]),
        **{key: facts[key] for key in ("seed", "drawings", "parameters", "width", "held_out_seed", "minutes")},
    )


CARD = """---
license: apache-2.0
tags: [synthetic, test]
---
# Tiny teacher for synthetic lesions

**Synthetic: it knows nothing of medicine.** An image encoder of drawings made by `modelhub/ml/synthetic`, as PanDerm is
one of photographs: `python -m modelhub.ml make-teacher-features DATA --encoder` *this folder* writes the features that
visual distillation learns from. On anything but those drawings its features mean nothing.

{parameters:,} parameters (stored as float16, used as float32), BEiT's form: {side} × {side} pixels, patch {patch}; the
feature is its pooled output (mean over patches, layer norm), {width} numbers.

## Recipe

`python -m modelhub.ml make-tiny --teacher --out DIR --seed {seed}`: one core, {minutes} minutes here with drawing and
measuring; {version_names}. {drawings:,} drawings of its own, as many of each skin tone, each turned or flipped at
random; no narrative. {steps:,} steps of {batch}, AdamW (peak rate {rate:g}, weight decay 0.05, betas 0.9 and 0.98),
cosine; the sum of cross-entropies of one linear reading per attribute and of the diagnosis, dropped afterwards.

## What its features hold

Share right that ridge regression, fitted on {probed:,} of the training drawings, reads from the features of fresh
drawings (seed {held_out_seed}), by the files here. Chance is 0.33 per attribute.

{table}
"""
