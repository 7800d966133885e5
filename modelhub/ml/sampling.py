"""Choosing the next token of each row, greedily or by a draw that no other row has a part in.

A draw takes one uniform number per request and step from a generator seeded with (seed, request id), so a text depends
neither on its neighbours nor on what was finished before a restart.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor

from modelhub.ml.backends.base import GenerationSettings, seed_of

# likeliest tokens looked at first; all are sorted only where top_p reaches further (then a card pays, a processor not)
CANDIDATES = {"cpu": 64, "cuda": 1024}


class Sampler:
    """The state that choosing needs, for `rows` places; each place is given to one request at a time."""

    def __init__(self, settings: GenerationSettings, rows: int, vocabulary: int, device: torch.device) -> None:
        self.settings = settings
        self.uniform = torch.zeros(rows, settings.max_new_tokens, device=device) if settings.do_sample else None
        penalised = settings.repetition_penalty != 1.0
        self.seen = torch.zeros(rows, vocabulary, dtype=torch.bool, device=device) if penalised else None
        self.ngrams = [NgramRule(settings.no_repeat_ngram) for _ in range(rows)] if settings.no_repeat_ngram else None

    def admit(self, row: int, request_id: str, prompt: Sequence[int]) -> None:
        """Give the place `row` to a request; its prompt counts as written, as in transformers."""
        if self.uniform is not None:
            generator = torch.Generator().manual_seed(seed_of(self.settings.seed, request_id))
            self.uniform[row] = torch.rand(self.settings.max_new_tokens, generator=generator)
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
    """Token per row, [rows]: one of the likeliest tokens that hold `top_p` of the probability, by `uniform` [rows].

    A token stays while the probability before it is below top_p; the likeliest always does. Equal scores rank by token
    id. `scores`: [rows, vocabulary], float32.
    """
    logsum = scores.logsumexp(dim=-1, keepdim=True)
    values, order = likeliest(scores, min(CANDIDATES.get(scores.device.type, 1024), scores.shape[-1]))
    mass, last = nucleus(values, logsum, top_p)
    # where the last kept score is also the last looked at, equal or further ones are missing
    if values.shape[-1] < scores.shape[-1] and bool((values.gather(1, last) == values[:, -1:]).any()):
        values, order = likeliest(scores, scores.shape[-1])
        mass, last = nucleus(values, logsum, top_p)
    threshold = uniform[:, None] * mass.gather(1, last)
    position = torch.minimum((mass <= threshold).sum(dim=-1, keepdim=True), last)
    return order.gather(1, position)[:, 0]


def nucleus(values: Tensor, logsum: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Probability up to and with each of the descending `values`, and the index of the last that stays, [rows, 1]."""
    mass = (values - logsum).exp().cumsum(dim=-1)
    return mass, (mass < top_p).sum(dim=-1, keepdim=True).clamp(max=mass.shape[-1] - 1)


def likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest scores per row and their token ids, highest first, equal ones by token id."""
    if count == scores.shape[-1]:
        return scores.sort(dim=-1, descending=True, stable=True)
    _, tokens = scores.topk(count, dim=-1, sorted=False)
    tokens = tokens.sort(dim=-1).values
    values, order = scores.gather(1, tokens).sort(dim=-1, descending=True, stable=True)
    return values, tokens.gather(1, order)


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
