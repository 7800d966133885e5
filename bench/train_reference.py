"""A straightforward trainer of the side branch, as the public reference trains it: the yardstick of `make bench-train`.

It runs the whole backbone for every case in every epoch, makes logits for every position, takes a cross-entropy of the
unbiased ones (transformers' own, thrown away), adds the bias over the vocabulary, takes a second one, and lets autograd
do the rest. Same weights, batches, optimizer and objective as ours: only the ways there differ. Where the reference
differs in what it computes (bias one position late, sums over images) it follows ours, so that the losses can be equal.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelhub.ml.losses import DISTILL_FACTOR, NO_LABEL
from modelhub.ml.skingpt import SkinGPT
from modelhub.ml.train_batches import Encoder, collate, cut
from modelhub.ml.train_data import TrainRecord
from modelhub.ml.train_loop import Plan, learning_rate

INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw")


class StraightforwardTrainer:
    """Begins at the model's present weights, in a copy of its branch. Every case must have an image, a teacher and a
    label, and every batch of a step the same number of answer tokens: then means of batches are the step's means."""

    def __init__(self, model: SkinGPT, plan: Plan, encoder: Encoder) -> None:
        assert model.branch is not None
        self.qwen, self.branch = model.qwen, copy.deepcopy(model.branch).requires_grad_(True)
        self.plan, self.encoder = plan, encoder
        self.optimizer = torch.optim.AdamW(
            self.branch.parameters(), lr=plan.settings.lr, weight_decay=plan.settings.weight_decay, fused=True
        )

    def take_step(self, step: int, records: Sequence[TrainRecord]) -> dict[str, float]:
        """Its losses, unweighted."""
        batches = list(cut(records, self.plan.settings.batch))
        sums: dict[str, float] = {}
        for part in batches:
            terms = self.terms(collate(part, self.encoder, self.plan.teacher_width))
            (terms["total"] / len(batches)).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(batches)
        nn.utils.clip_grad_norm_(self.branch.parameters(), self.plan.settings.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.plan.steps, self.plan.settings)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return sums

    def terms(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        labels = torch.full_like(batch["input_ids"], NO_LABEL)
        scored = batch["scored"].bool()
        labels[:, 1:][scored[:, :-1]] = batch["targets"]
        output = self.qwen(**{name: batch[name] for name in INPUTS}, labels=labels, use_cache=False)
        if not math.isfinite(float(output.loss)):
            raise ValueError("the first cross-entropy is not a number")
        branch = self.branch(batch["pixel_values"], batch["image_grid_thw"])
        bias = self.branch.logit_bias_scale * self.branch.text_bias(branch.vision_embed)
        logits = output.logits + self.qwen.lm_head(bias)[:, None, :] * scored[..., None]
        answer = functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=NO_LABEL
        )
        distill = DISTILL_FACTOR * (1 - functional.cosine_similarity(branch.vision_proj, batch["teacher"])).mean()
        skin = functional.cross_entropy(branch.skin_logits, batch["skin_labels"])
        weights = self.plan.settings.weights
        terms = {"answer": answer, "distill": distill, "balance": branch.balance.mean(), "skin": skin}
        return terms | {"total": sum(getattr(weights, name) * term for name, term in terms.items())}
