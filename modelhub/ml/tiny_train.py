"""The curriculum of the tiny model: see attributes, name them, then tell the whole narrative."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration

from modelhub.ml.synthetic import wording
from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion
from modelhub.ml.tiny_data import DrawnSet, patches, turned
from modelhub.ml.tiny_model import IMAGE_TOKENS, prompt_ids

Log = Callable[[str], None]
GRID = [1, 8, 8]
UNTOLD_TONE = "dark"  # seen a little, never told of: the gap that correcting and retraining closes
ATTRIBUTE_WEIGHT = 4.0  # plain language-model loss alone learns little but the skin tone


@dataclass(frozen=True)
class Stage:
    """``steps`` of ``batch`` drawings at the peak rate ``rate``; ``heads`` weighs the auxiliary loss."""

    name: str
    steps: int
    batch: int
    rate: float
    heads: float


STAGES = (
    Stage("seeing", 900, 40, 2e-3, 1.0),
    Stage("naming", 100, 40, 8e-4, 0.5),
    Stage("telling", 350, 20, 8e-4, 0.5),
)


class Heads(nn.Module):
    """One linear reading per attribute from mean ‖ max of the merged visual tokens; dropped after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reads = nn.ModuleDict({name: nn.Linear(2 * width, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """``tokens`` [n, 16, width] → logits [n, values] by attribute."""
        pooled = torch.cat([tokens.mean(1), tokens.amax(1)], dim=-1)
        return {name: read(pooled) for name, read in self.reads.items()}


@dataclass
class Batch:
    """One training batch; ``labels`` are −100 off the answer, ``weights`` as long as they."""

    pixel_values: torch.Tensor
    truth: torch.Tensor  # [n, attributes], indices into ATTRIBUTES
    input_ids: torch.Tensor | None = None
    attention_mask: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    weights: torch.Tensor | None = None


class Batches:
    """Draws batches from a set, in a new order each round, each picture turned at random."""

    def __init__(self, drawn: DrawnSet, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.drawn, self.tokenizer = drawn, tokenizer
        self.rng = np.random.default_rng(seed)
        self.prompt = prompt_ids(tokenizer)
        self.end = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad = tokenizer.pad_token_id
        self.truth = torch.tensor(
            [[values.index(getattr(item, name)) for name, values in ATTRIBUTES.items()] for item in drawn.lesions]
        )
        self.told = np.array([i for i, item in enumerate(drawn.lesions) if item.skin_tone != UNTOLD_TONE])
        self.order: list[int] = []
        self.words = {i for values in ATTRIBUTES.values() for value in values for i in self._ids(" " + value)}

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def next(self, stage: Stage) -> Batch:
        while len(self.order) < stage.batch:
            self.order += self.rng.permutation(self._pool(stage)).tolist()
        index, self.order = self.order[: stage.batch], self.order[stage.batch :]
        pixels = turned(self.drawn.pixels[index], self.rng)
        batch = Batch(torch.from_numpy(patches(pixels)), self.truth[index])
        if stage.name != "seeing":
            self._add_text(batch, [self._answer(self.drawn.lesions[i], stage) for i in index])
        return batch

    def _pool(self, stage: Stage) -> np.ndarray:
        """The drawings of a stage: all for seeing, those that are told of for the others."""
        return np.arange(len(self.drawn)) if stage.name == "seeing" else self.told

    def _answer(self, item: Lesion, stage: Stage) -> str:
        if stage.name == "naming":
            return "".join(" " + value for value in item.as_dict().values())
        return wording.narrative(item, self.rng)

    def _add_text(self, batch: Batch, answers: list[str]) -> None:
        rows = [[*self._ids(answer), self.end] for answer in answers]
        width = max(map(len, rows))
        start = len(self.prompt)
        ids = torch.full((len(rows), start + width), self.pad)
        labels = torch.full_like(ids, -100)
        ids[:, :start] = torch.tensor(self.prompt)
        for number, row in enumerate(rows):
            ids[number, start : start + len(row)] = labels[number, start : start + len(row)] = torch.tensor(row)
        words = torch.isin(labels, torch.tensor(sorted(self.words)))
        batch.input_ids, batch.labels = ids, labels
        batch.attention_mask = ((labels != -100) | (torch.arange(ids.shape[1]) < start)).long()
        batch.weights = torch.where(words, ATTRIBUTE_WEIGHT, 1.0)


def train(
    model: Qwen2_5_VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    drawn: DrawnSet,
    *,
    seed: int,
    stages: tuple[Stage, ...] = STAGES,
    log: Log = print,
) -> None:
    """Train ``model`` in place through ``stages``; the same seed and thread count give the same weights."""
    heads = Heads(model.config.vision_config.out_hidden_size)
    batches = Batches(drawn, tokenizer, seed)
    model.train()
    for stage in stages:
        batches.order.clear()
        _run(stage, model, heads, batches, log)
    model.eval()


def _run(stage: Stage, model: Qwen2_5_VLForConditionalGeneration, heads: Heads, batches: Batches, log: Log) -> None:
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=stage.rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, stage.steps))
    began, right = time.monotonic(), torch.zeros(len(ATTRIBUTES))
    for step in range(1, stage.steps + 1):
        batch = batches.next(stage)
        loss, logits = loss_of(model, heads, batch, stage.heads)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        hits = [(logits[name].argmax(-1) == batch.truth[:, i]).float().mean() for i, name in enumerate(ATTRIBUTES)]
        right = 0.95 * right + 0.05 * torch.stack(hits)
        if step % 50 == 0 or step == stage.steps:
            reads = " ".join(f"{name} {share:.2f}" for name, share in zip(ATTRIBUTES, right.tolist(), strict=True))
            log(f"{stage.name} {step}/{stage.steps} loss {loss.item():.3f} {reads} {time.monotonic() - began:.0f} s")


def _rate(step: int, steps: int, warm_up: int = 60) -> float:
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def loss_of(
    model: Qwen2_5_VLForConditionalGeneration, heads: Heads, batch: Batch, heads_weight: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Weighted next-token loss plus ``heads_weight`` × mean cross-entropy of the heads, and the heads' logits."""
    grids = torch.tensor([GRID] * len(batch.truth))
    tokens = model.model.visual(batch.pixel_values, grid_thw=grids).pooler_output
    logits = heads(tokens.view(len(grids), IMAGE_TOKENS, -1))
    seen = torch.stack([functional.cross_entropy(logits[name], batch.truth[:, i]) for i, name in enumerate(ATTRIBUTES)])
    loss = heads_weight * seen.mean()
    if batch.input_ids is not None:
        loss = loss + _language_loss(model, batch, tokens, grids)
    return loss, logits


def _language_loss(
    model: Qwen2_5_VLForConditionalGeneration, batch: Batch, tokens: torch.Tensor, grids: torch.Tensor
) -> torch.Tensor:
    assert batch.input_ids is not None and batch.labels is not None and batch.weights is not None
    is_image = batch.input_ids == model.config.image_token_id
    embeds = model.get_input_embeddings()(batch.input_ids)
    embeds = embeds.masked_scatter(is_image[..., None], tokens)
    positions, _ = model.model.get_rope_index(
        batch.input_ids,
        mm_token_type_ids=is_image.int(),
        image_grid_thw=grids,
        attention_mask=batch.attention_mask,
    )
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=batch.attention_mask, position_ids=positions
    ).last_hidden_state
    scored = batch.labels[:, 1:] != -100
    losses = functional.cross_entropy(
        model.lm_head(hidden[:, :-1][scored]), batch.labels[:, 1:][scored], reduction="none"
    )
    weights = batch.weights[:, 1:][scored]
    return (losses * weights).sum() / weights.sum()
