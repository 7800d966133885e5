"""Narratives from images and prompts, in batches whose make-up does not change what is written.

Greedy or sampled. Sampling draws one uniform number per request and step from a generator seeded with (seed, request
id), so a request's text depends neither on its neighbours nor on what was finished before a restart. (Padding moves
logits by float rounding only: in float32 about 1e-6.)
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from modelhub.ml.loading import LoadedModel
from modelhub.ml.processor import Message, control_tokens, encode_prompts, visual_tokens


@dataclass(frozen=True)
class GenerationSettings:
    """Defaults are the paper's evaluation settings. `do_sample` False is greedy (temperature and top_p unused)."""

    do_sample: bool = True
    temperature: float = 0.7
    top_p: float = 0.9
    repetition_penalty: float = 1.0
    max_new_tokens: int = 4096
    seed: int = 42
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0 (greedy decoding is do_sample false)")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], it is {self.top_p}")
        if self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty must be above 0, it is {self.repetition_penalty}")
        if self.max_new_tokens < 1 or self.batch_size < 1:
            raise ValueError("max_new_tokens and batch_size must be at least 1")


@dataclass(frozen=True)
class Request:
    """`images`: none, one or several; `<image>` marks in the prompt place them, else they stand first."""

    id: str
    images: tuple[Path, ...]
    prompt: str


@dataclass(frozen=True)
class Output:
    """`text` raw with its reasoning tags; `tokens` written including the end token; `seconds`: the batch's time shared
    by its rows; `truncated`: no end token within max_new_tokens."""

    id: str
    text: str
    tokens: int
    seconds: float
    truncated: bool


class SeededSampler(LogitsProcessor):
    """Repetition penalty, temperature, top-p and the draw itself; leaves only the drawn token, for greedy to pick.

    Padding is not part of a prompt: the penalty looks at `prompt_mask` (the end token is often the padding token too).
    """

    def __init__(self, settings: GenerationSettings, ids: Sequence[str], prompt_mask: Tensor) -> None:
        self.settings = settings
        self.prompt_mask = prompt_mask.bool()
        draws = [torch.rand(settings.max_new_tokens, generator=request_generator(settings.seed, i)) for i in ids]
        self.uniform = torch.stack(draws).to(prompt_mask.device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = self._penalise(input_ids, scores.float())
        if not self.settings.do_sample:
            return scores
        step = input_ids.shape[1] - self.prompt_mask.shape[1]
        ordered, order = (scores / self.settings.temperature).sort(dim=-1, descending=True, stable=True)
        cumulative = ordered.softmax(dim=-1).cumsum(dim=-1)
        # a token stays while the mass before it is below top_p; the first always does
        kept = (cumulative < self.settings.top_p).sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
        threshold = self.uniform[:, step, None] * cumulative.gather(1, kept)
        position = torch.minimum((cumulative <= threshold).sum(dim=-1, keepdim=True), kept)
        drawn = order.gather(1, position)
        return torch.full_like(scores, float("-inf")).scatter(1, drawn, 0.0)

    def _penalise(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        penalty = self.settings.repetition_penalty
        if penalty == 1.0:
            return scores
        seen = torch.ones_like(input_ids, dtype=scores.dtype)
        seen[:, : self.prompt_mask.shape[1]] = self.prompt_mask.to(scores.dtype)
        written = torch.zeros_like(scores).scatter_reduce(1, input_ids, seen, "amax") > 0
        return torch.where(written, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def request_generator(seed: int, request_id: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}\n{request_id}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def generate(loaded: LoadedModel, requests: Sequence[Request], settings: GenerationSettings) -> Iterator[Output]:
    """Yield outputs batch by batch as they finish, largest images first (so a lack of memory shows at once).

    Raises ValueError for two requests with one id, OSError naming an image that cannot be read.
    """
    if len({request.id for request in requests}) != len(requests):
        raise ValueError("two requests have the same id")
    sizes = {r.id: sum(visual_tokens(loaded.processor, Path(p)) for p in r.images) for r in requests}
    ordered = sorted(requests, key=lambda r: (-sizes[r.id], r.id))
    for start in range(0, len(ordered), settings.batch_size):
        yield from generate_batch(loaded, ordered[start : start + settings.batch_size], settings)


def generate_batch(loaded: LoadedModel, requests: Sequence[Request], settings: GenerationSettings) -> list[Output]:
    began = time.perf_counter()
    prompts = [([Message("user", r.prompt)], [Path(p) for p in r.images]) for r in requests]
    batch = {name: value.to(loaded.model.device) for name, value in encode_prompts(loaded.processor, prompts).items()}
    sampler = SeededSampler(settings, [r.id for r in requests], batch["attention_mask"])
    ids = loaded.model.generate(
        batch,
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        eos_token_id=loaded.end_token_ids,
        pad_token_id=loaded.model.qwen.generation_config.pad_token_id,
        logits_processor=LogitsProcessorList([sampler]),
    )
    new = ids[:, batch["input_ids"].shape[1] :].tolist()
    seconds = (time.perf_counter() - began) / len(requests)
    return [read_output(loaded, r.id, row, seconds) for r, row in zip(requests, new, strict=True)]


def read_output(loaded: LoadedModel, request_id: str, row: list[int], seconds: float) -> Output:
    ends = [i for i, token in enumerate(row) if token in loaded.end_token_ids]
    written = row[: ends[0]] if ends else row
    control = set(control_tokens(loaded.processor).values())
    text = loaded.tokenizer.decode(
        [token for token in written if token not in control],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    return Output(request_id, text, len(written) + bool(ends), seconds, truncated=not ends)


def settings_record(settings: GenerationSettings) -> dict[str, Any]:
    """What to store with every narrative."""
    return asdict(settings)
