"""Choosing the next token of each row, greedily or by a draw that no other row has a part in.

A draw takes uniform numbers of its own request and step from a generator seeded with (seed, request id), so a text
depends neither on its neighbours nor on what was finished before a restart.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor

from modelhub.ml.backends.base import GenerationSettings, seed_of

TRIES = 6  # draws from all tokens before the kept ones are sorted out; a try succeeds with at least top_p


class Sampler:
    """The state that choosing needs, for `rows` places; each place is given to one request at a time."""

    def __init__(self, settings: GenerationSettings, rows: int, vocabulary: int, device: torch.device) -> None:
        self.settings = settings
        numbers = (settings.max_new_tokens, TRIES)
        self.uniform = torch.zeros(rows, *numbers, device=device) if settings.do_sample else None
        penalised = settings.repetition_penalty != 1.0
        self.seen = torch.zeros(rows, vocabulary, dtype=torch.bool, device=device) if penalised else None
        self.ngrams = [NgramRule(settings.no_repeat_ngram) for _ in range(rows)] if settings.no_repeat_ngram else None

    def admit(self, row: int, request_id: str, prompt: Sequence[int]) -> None:
        """Give the place `row` to a request; its prompt counts as written, as in transformers."""
        if self.uniform is not None:
            generator = torch.Generator().manual_seed(seed_of(self.settings.seed, request_id))
            self.uniform[row] = torch.rand(self.uniform.shape[1:], generator=generator)
        if self.seen is not None:
            self.seen[row] = False
            self.seen[row, torch.tensor(sorted(set(prompt)), device=self.seen.device)] = True
        if self.ngrams is not None:
            self.ngrams[row] = NgramRule(self.settings.no_repeat_ngram, prompt)

    def keep(self, rows: Tensor) -> None:
        """Only these places, in this order."""
        if self.uniform is not None:
            self.uniform = self.uniform[rows]
        if self.seen is not None:
            self.seen = self.seen[rows]
        if self.ngrams is not None:
            self.ngrams = [self.ngrams[row] for row in rows.tolist()]

    def choose(self, logits: Tensor, rows: Tensor, steps: Tensor) -> Tensor:
        """Next token of each of these places, [rows]. `logits` [rows, vocabulary]; `steps` [rows]: tokens written."""
        scores = logits.float()
        if self.seen is not None:
            penalty = self.settings.repetition_penalty
            punished = torch.where(scores < 0, scores * penalty, scores / penalty)
            scores = torch.where(self.seen[rows], punished, scores)
        if self.ngrams is not None:
            scores = self._without_repeats(scores, rows)
        if self.uniform is None:
            chosen = scores.argmax(dim=-1)
        else:
            chosen = draw(scores / self.settings.temperature, self.settings.top_p, self.uniform[rows, steps])
        self._note(rows, chosen)
        return chosen

    def _without_repeats(self, scores: Tensor, rows: Tensor) -> Tensor:
        assert self.ngrams is not None
        banned = [(i, token) for i, row in enumerate(rows.tolist()) for token in self.ngrams[row].banned()]
        if not banned:
            return scores
        where = torch.tensor(banned, device=scores.device)
        return scores.index_put((where[:, 0], where[:, 1]), scores.new_tensor(float("-inf")))

    def _note(self, rows: Tensor, chosen: Tensor) -> None:
        if self.seen is not None:
            self.seen[rows, chosen] = True
        if self.ngrams is not None:
            for row, token in zip(rows.tolist(), chosen.tolist(), strict=True):
                self.ngrams[row].add(token)


class NgramRule:
    """Which tokens would write a sequence of `size` tokens for the second time."""

    def __init__(self, size: int, written: Sequence[int] = ()) -> None:
        self.size = size
        self.followers: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        self.last: tuple[int, ...] = ()
        for token in written:
            self.add(token)

    def add(self, token: int) -> None:
        if len(self.last) == self.size - 1:
            self.followers[self.last].add(token)
        self.last = (*self.last, token)[-(self.size - 1) :] if self.size > 1 else ()

    def banned(self) -> set[int]:
        return self.followers.get(self.last, set())


def draw(scores: Tensor, top_p: float, uniform: Tensor) -> Tensor:
    """Token per row, [rows], by `uniform` [rows, tries] from the likeliest tokens that hold `top_p` of the probability.

    A token is one of them where the tokens likelier than it hold less than top_p. To sort them all would cost more than
    a small model's step, so tokens are drawn from the whole distribution and those that are not among them are drawn
    again. `scores`: [rows, vocabulary], float32.
    """
    probability = scores.softmax(dim=-1)
    below = probability.cumsum(dim=-1)
    chosen = torch.full_like(scores[:, 0], -1, dtype=torch.long)
    for numbers in uniform.unbind(dim=1):
        token = torch.searchsorted(below, (numbers * below[:, -1])[:, None], right=True).clamp(max=scores.shape[1] - 1)
        own = probability.gather(1, token)
        likelier = torch.where(probability > own, probability, 0.0).sum(dim=-1, keepdim=True)
        fits = (chosen < 0) & ((likelier < top_p) & (own > 0))[:, 0]
        chosen = torch.where(fits, token[:, 0], chosen)
        if bool((chosen >= 0).all()):
            return chosen
    left = (chosen < 0).nonzero()[:, 0]
    chosen[left] = draw_sorted(probability[left], top_p, uniform[left, -1])
    return chosen


def draw_sorted(probability: Tensor, top_p: float, uniform: Tensor) -> Tensor:
    """The same in one draw, [rows]; `uniform` [rows]."""
    ordered, tokens = probability.sort(dim=-1, descending=True, stable=True)
    above = ordered.cumsum(dim=-1)
    least = ordered.gather(1, (above < top_p).sum(dim=-1, keepdim=True).clamp(max=ordered.shape[-1] - 1))
    below = torch.where(ordered >= least, ordered, 0.0).cumsum(dim=-1)
    position = torch.searchsorted(below, (uniform * below[:, -1])[:, None], right=True).clamp(max=below.shape[1] - 1)
    return tokens.gather(1, position)[:, 0]


class SamplingProcessor(LogitsProcessor):
    """The same choice inside `generate` of transformers: leaves only the chosen token for greedy search to pick.

    `prompt_mask` [rows, prompt]: padding is not part of a prompt (the end token is often the padding token too).
    """

    def __init__(self, settings: GenerationSettings, ids: Sequence[str], prompt_mask: Tensor) -> None:
        self.settings, self.ids, self.prompt_mask = settings, ids, prompt_mask.bool()
        self.sampler: Sampler | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows = torch.arange(len(scores), device=scores.device)
        if self.sampler is None:
            self.sampler = Sampler(self.settings, len(scores), scores.shape[-1], scores.device)
            for row, request_id in enumerate(self.ids):
                self.sampler.admit(row, request_id, input_ids[row][self.prompt_mask[row]].tolist())
        steps = torch.full_like(rows, input_ids.shape[1] - self.prompt_mask.shape[1])
        chosen = self.sampler.choose(scores, rows, steps)
        return torch.full_like(scores, float("-inf")).scatter(1, chosen[:, None], 0.0)
