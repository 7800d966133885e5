"""Prompts with answers behind them, as the model reads them at once: what each answer token costs, row by row."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from modelhub.ml.answer_head import answer_loss
from modelhub.ml.backends.base import Failure, GenerationSettings, Request
from modelhub.ml.loading import LoadedModel
from modelhub.ml.prepare import Prepared, Preparer
from modelhub.ml.processor import encode_answer
from modelhub.ml.train_data import DatasetError

MOST_KEPT_BYTES = 1 << 30  # of prepared pictures: every epoch asks again
PLAIN = GenerationSettings()


class AnsweredPrompts:
    """A model's prompts and answers as batches. Works for SkinGPT-R1 and for comparison models alike."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.own = not loaded.identity.comparison
        self.end = int(loaded.tokenizer.eos_token_id)
        self._pictures = torch.tensor(picture_tokens(loaded.model.qwen.config))
        self._preparer = Preparer(loaded.processor, PLAIN) if self.own else None
        self._kept: dict[Request, Prepared] = {}
        self._room = MOST_KEPT_BYTES

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer and its end token."""
        if self.own:
            return list(encode_answer(self.loaded.processor, text, self.end).tolist())
        return [*self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"], self.end]

    def length(self, request: Request) -> int:
        """Tokens of a prompt with its pictures. Raises DatasetError where a picture cannot be read."""
        if self._preparer is None:
            return int(self.prompts([request])["attention_mask"].sum())
        plan = self._preparer.plan(request)
        if isinstance(plan, Failure):
            raise DatasetError(f"{request.id}: {plan.sentence}")
        return plan.length

    def prompts(self, requests: Sequence[Request]) -> dict[str, Tensor]:
        """Left-padded, on the CPU."""
        if self._preparer is not None:
            return self._preparer.to_batch([self._prepared(r) for r in requests], torch.device("cpu"))
        encoded: dict[str, Tensor] = self.loaded.processor.encode([(r.prompt, r.images) for r in requests])
        return encoded

    def _prepared(self, request: Request) -> Prepared:
        assert self._preparer is not None
        if request in self._kept:
            return self._kept[request]
        prepared = self._preparer.prepare(request)
        size = sum(patches.nbytes for patches, _ in prepared.pictures)
        if 0 < size <= self._room:
            self._kept[request] = prepared
            self._room -= size
        return prepared

    def batch(self, requests: Sequence[Request], answers: Sequence[Sequence[int]]) -> tuple[dict[str, Tensor], int]:
        """Prompts with their answers behind them, on the model's device, and the column of the first answer token.

        A picture's place that a model wrote into its answer is no picture: it is read as the end token.
        """
        batch = self.prompts(requests)
        first = batch["input_ids"].shape[1]
        tokens, mask = self._padded(answers)
        behind = {"input_ids": tokens.where(~torch.isin(tokens, self._pictures), self.end), "attention_mask": mask}
        for name, value in batch.items():
            if value.shape[:2] == (len(answers), first):  # a number per token
                added = behind.get(name, torch.zeros_like(tokens)).to(value.dtype)
                batch[name] = torch.cat([value, added], dim=1)
        return {name: value.to(self.loaded.model.device) for name, value in batch.items()}, first

    def _padded(self, answers: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, [rows, longest]."""
        tokens = torch.full((len(answers), max(map(len, answers))), self.end)
        mask = torch.zeros_like(tokens)
        for row, answer in enumerate(answers):
            tokens[row, : len(answer)] = torch.tensor(answer)
            mask[row, : len(answer)] = 1
        return tokens, mask

    def losses(
        self, requests: Sequence[Request], answers: Sequence[Sequence[int]], *, temperature: float = 1.0
    ) -> Tensor:
        """−log p of each whole answer in nats under logits / temperature, [rows]; gradients flow to what learns."""
        batch, first = self.batch(requests, answers)
        lengths = [len(answer) for answer in answers]
        targets = self._padded(answers)[0].to(self.loaded.model.device)
        if not self.own:
            logits = self._plain_logits(batch, first) / temperature
            rows = zip(logits, targets, lengths, strict=True)
            sums = [functional.cross_entropy(row[:n].float(), t[:n], reduction="sum") for row, t, n in rows]
            return torch.stack(sums)
        states, head = self._states(batch, first) / temperature, self.loaded.model.qwen.lm_head.weight
        return torch.stack(
            [answer_loss(row[:n], head, t[:n]) for row, t, n in zip(states, targets, lengths, strict=True)]
        )

    @torch.no_grad()
    def logits(self, requests: Sequence[Request], answers: Sequence[Sequence[int]]) -> Tensor:
        """What predicts each answer token, [rows, longest answer, vocabulary], float32."""
        batch, first = self.batch(requests, answers)
        if not self.own:
            return self._plain_logits(batch, first).float()
        head = self.loaded.model.qwen.lm_head.weight
        return (self._states(batch, first) @ head.T).float()

    def _states(self, batch: dict[str, Tensor], first: int) -> Tensor:
        """Final hidden states that predict the answer, [rows, longest, hidden], with the side branch's bias."""
        model = self.loaded.model
        states = model.hidden_states(batch)[:, first - 1 : -1]
        if model.bias_mode == "off":
            return states
        bias: Any = model.run_branch(batch)[1]
        if bias is None:
            return states
        at = torch.ones(states.shape[1], device=states.device)
        if model.bias_mode == "first_token":
            at[1:] = 0
        return (states.float() + bias[:, None, :] * at[None, :, None]).to(states.dtype)

    def _plain_logits(self, batch: dict[str, Tensor], first: int) -> Tensor:
        logits: Tensor = self.loaded.model.qwen(**batch, use_cache=False).logits
        return logits[:, first - 1 : -1]


def picture_tokens(config: Any) -> list[int]:
    """The tokens that stand for a picture or a film in a prompt."""
    names = ("image_token_id", "image_token_index", "video_token_id")
    return sorted({value for name in names if isinstance(value := getattr(config, name, None), int)})
