"""DermEval's two stages (arXiv 2511.09195): what a step of each does to the model.

`sft`: supervised on physicians' critiques. `rl`: REINFORCE with a moving baseline, on sampled critiques:
reward = −(mean squared error, squared points), advantage = reward − baseline, then
baseline ← m·baseline + (1 − m)·reward. Beyond the paper: a dimension without a readable number is punished, and the
share of readable ones is told at every step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor

from modelhub.ml.backends.base import Failure, GenerationSettings, Request
from modelhub.ml.dermeval_data import RatedNarrative
from modelhub.ml.dermeval_format import Critique, fill_prompt, read_critique
from modelhub.ml.dermeval_rows import AnsweredPrompts
from modelhub.ml.dermeval_settings import DermEvalSettings
from modelhub.ml.generate import generate
from modelhub.ml.generate_plain import generate_plainly
from modelhub.ml.train_loop import TrainingError
from scoring.rubric import DIMENSION_KEYS


@dataclass(frozen=True)
class Reward:
    """Of one critique. `value`: −mean over the dimensions that physicians scored, in squared points; `error`: the same
    mean over those of them that could be read, None where none could; `read`: their share."""

    value: float
    error: float | None
    read: float


def reward_of(critique: Critique, truth: Mapping[str, float | None], *, unread_error: float) -> Reward:
    """Against physicians' means. A dimension that they scored and the critique does not (its line is broken, or it says
    "cannot judge") counts as `unread_error`; one that they could not judge counts for nothing.

    Raises ValueError where physicians scored no dimension at all.
    """
    scored = [key for key in DIMENSION_KEYS if truth[key] is not None]
    if not scored:
        raise ValueError("physicians could judge no dimension of this narrative: it cannot reward anything")
    errors = {key: (found - (truth[key] or 0.0)) ** 2 for key in scored if (found := critique.scores[key]) is not None}
    total = sum(errors.values()) + unread_error * (len(scored) - len(errors))
    return Reward(-total / len(scored), fmean(errors.values()) if errors else None, len(errors) / len(scored))


def request_of(rated: RatedNarrative, prompt: str) -> Request:
    return Request(rated.version, rated.images, fill_prompt(prompt, rated.narrative))


def endless_order(count: int, *, seed: int, size: int, done: int) -> Iterator[list[int]]:
    """Places of a step's records after `done` steps: every epoch a new order, the same for the same seed."""
    epoch, left = -1, list[int]()
    for step in range(10**9):
        while len(left) < size:
            epoch += 1
            generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            left += torch.randperm(count, generator=generator).tolist()
        chosen, left = left[:size], left[size:]
        if step >= done:
            yield chosen


class Stage(Protocol):
    """`step` leaves gradients and says what there is to tell; `records` is how many it draws from."""

    name: str
    steps: int
    lr: float
    records: int

    def step(self, number: int, chosen: Sequence[int]) -> dict[str, Any]: ...

    def resume(self, last: Mapping[str, Any] | None) -> None: ...


class Supervised:
    """−log p of physicians' own critiques, each by itself; the mean over tokens of a step."""

    name = "sft"

    def __init__(self, rows: AnsweredPrompts, rated: Sequence[RatedNarrative], settings: DermEvalSettings) -> None:
        self.rows, self.steps, self.lr = rows, settings.sft_steps, settings.sft_lr
        self.pairs = [
            (request_of(one, settings.prompt), rows.answer(who.text)) for one in rated for who in one.physicians
        ]
        self.records = len(self.pairs)

    def resume(self, last: Mapping[str, Any] | None) -> None:
        """Nothing but the weights is carried from step to step."""

    def step(self, number: int, chosen: Sequence[int]) -> dict[str, Any]:
        pairs = [self.pairs[place] for place in chosen]
        tokens = sum(len(answer) for _, answer in pairs)
        loss = self.rows.losses([request for request, _ in pairs], [answer for _, answer in pairs]).sum() / tokens
        refuse_nan(loss, self.name, number)
        loss.backward()
        return {"loss": float(loss.detach())}


class Reinforced:
    """Sampled critiques, pushed towards what rewards more than the moving baseline."""

    name = "rl"

    def __init__(self, rows: AnsweredPrompts, rated: Sequence[RatedNarrative], settings: DermEvalSettings) -> None:
        self.rows, self.steps, self.lr, self.settings = rows, settings.rl_steps, settings.rl_lr, settings
        scored = [(one, one.mean_scores()) for one in rated]
        known = [(one, means) for one, means in scored if any(value is not None for value in means.values())]
        self.requests = [request_of(one, settings.prompt) for one, _ in known]
        self.truths = [means for _, means in known]
        self.records = len(known)
        self.baseline: float | None = None  # the first step's own mean reward: no advantage has been seen yet
        self._generate = generate if rows.own else generate_plainly

    def resume(self, last: Mapping[str, Any] | None) -> None:
        self.baseline = None if last is None else float(last["baseline"])

    def step(self, number: int, chosen: Sequence[int]) -> dict[str, Any]:
        requests = [self.requests[place] for place in chosen]
        texts, tokens = self._sample(number, requests)
        rewards = [
            reward_of(read_critique(text), self.truths[place], unread_error=self.settings.unread_error)
            for place, text in zip(chosen, texts, strict=True)
        ]
        mean = fmean(reward.value for reward in rewards)
        baseline = mean if self.baseline is None else self.baseline
        advantages = torch.tensor([reward.value - baseline for reward in rewards], device=self.rows.loaded.model.device)
        # −log p of what was sampled, under the very distribution that it was drawn from
        losses: Tensor = self.rows.losses(requests, tokens, temperature=self.settings.temperature)
        loss = (advantages * losses).sum() / sum(map(len, tokens))
        refuse_nan(loss, self.name, number)
        loss.backward()
        momentum = self.settings.momentum
        self.baseline = momentum * baseline + (1 - momentum) * mean
        errors = [reward.error for reward in rewards if reward.error is not None]
        return {
            "loss": float(loss.detach()),
            "reward": mean,
            "baseline": self.baseline,
            "squared_error": fmean(errors) if errors else None,
            "parse_rate": fmean(reward.read for reward in rewards),
        }

    def _sample(self, number: int, requests: Sequence[Request]) -> tuple[list[str], list[list[int]]]:
        """A critique per request, and the very tokens that were drawn (spelling the text anew could give others)."""
        settings = self.settings
        decoding = GenerationSettings(
            do_sample=True,
            temperature=settings.temperature,
            top_p=1.0,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed * 1_000_003 + number,
            batch_size=len(requests),
        )
        drawn: dict[str, list[int]] = {}
        texts: dict[str, str] = {}
        numbered = [Request(f"{place}:{r.id}", r.images, r.prompt) for place, r in enumerate(requests)]
        with torch.no_grad():
            for output in self._generate(
                self.rows.loaded, numbered, decoding, on_token=lambda name, ids: drawn.__setitem__(name, [*ids])
            ):
                if isinstance(output, Failure):
                    raise TrainingError(f"no critique could be sampled in step {number} of rl: {output.sentence}")
                texts[output.id] = output.text
        return [texts[request.id] for request in numbered], [drawn[request.id] for request in numbered]


def refuse_nan(loss: Tensor, stage: str, number: int) -> None:
    if not bool(loss.isfinite()):
        raise TrainingError(f"the loss is not a number at step {number} of {stage}; nothing was kept of it")
