"""How well a model folder reads held-out drawings, with the shuffled-image control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from modelhub.ml.synthetic import truth
from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion, diagnosis
from modelhub.ml.tiny_data import DrawnSet, patches
from modelhub.ml.tiny_model import prompt_ids

MEASURES = (*ATTRIBUTES, "diagnosis")


def tell(
    model: Any, tokenizer: PreTrainedTokenizerBase, pixels: np.ndarray, *, batch: int = 50, max_new_tokens: int = 160
) -> list[str]:
    """Greedy narratives of uint8 pictures [n, SIDE, SIDE, 3] under the fixed prompt, in order."""
    prompt = torch.tensor(prompt_ids(tokenizer))
    image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    texts: list[str] = []
    for start in range(0, len(pixels), batch):
        part = pixels[start : start + batch]
        ids = prompt.repeat(len(part), 1)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=(ids == image).int(),
                pixel_values=torch.from_numpy(patches(part)),
                image_grid_thw=torch.tensor([[1, 8, 8]] * len(part)),
                max_new_tokens=max_new_tokens,
                do_sample=False,
            )
        texts += tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    return texts


def marks(lesions: Sequence[Lesion], texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Right (1) or wrong (0) per case for each attribute and the diagnosis; unstated counts as wrong."""
    rows: dict[str, list[bool]] = {name: [] for name in MEASURES}
    for item, text in zip(lesions, texts, strict=True):
        stated = truth.stated_attributes(text)
        for name in ATTRIBUTES:
            rows[name].append(stated.get(name) == getattr(item, name))
        rows["diagnosis"].append(truth.stated_diagnosis(text) == diagnosis(item))
    return {name: np.array(row, dtype=float) for name, row in rows.items()}


def held_out_scores(
    model: Any, tokenizer: PreTrainedTokenizerBase, drawn: DrawnSet, *, seed: int
) -> dict[str, dict[str, float | int]]:
    """Shares right, by skin tone, overall, and with the pictures shuffled among the cases."""
    right = marks(drawn.lesions, tell(model, tokenizer, drawn.pixels))
    tones = np.array([item.skin_tone for item in drawn.lesions])
    groups = {tone: tones == tone for tone in ATTRIBUTES["skin_tone"]} | {"all": np.ones(len(tones), bool)}
    table = {name: _shares(right, chosen) for name, chosen in groups.items()}
    order = np.random.default_rng(seed).permutation(len(drawn))
    shuffled = marks(drawn.lesions, tell(model, tokenizer, drawn.pixels[order]))
    table["shuffled images"] = _shares(shuffled, groups["all"])
    return table


def _shares(right: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, float | int]:
    shares: dict[str, float | int] = {"n": int(chosen.sum())}
    return shares | {name: round(float(row[chosen].mean()), 3) for name, row in right.items()}
