"""The ways of writing that `bench.generate` compares, and where their time goes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.reporting import cpu_seconds
from modelhub.ml import prepare
from modelhub.ml.backends.base import GenerationSettings, Output, Request
from modelhub.ml.decoder import Decoder
from modelhub.ml.generate import Writing, generate
from modelhub.ml.generate_plain import generate_plainly
from modelhub.ml.loading import LoadedModel
from modelhub.ml.patch_worker import Patches, PatchRule
from modelhub.ml.patches import PatchWorkers
from modelhub.ml.processor import Message, encode_prompts
from modelhub.ml.reading import TextReader
from modelhub.ml.sampling import Sampler

PICTURES = "preparing pictures"
WAITING = "waiting for pictures"
PARTS = (
    (prepare.Preparer, "plan", "sizes and prompts"),
    (Writing, "next", WAITING),
    (Decoder, "admit", "reading prompts"),
    (Decoder, "step", "steps"),
    (Sampler, "choose", "choosing tokens"),
    (TextReader, "ended", "text"),
    (TextReader, "text", "text"),
)


@dataclass
class Tally:
    """What one way did over all rounds."""

    requests: int = 0
    tokens: int = 0
    truncated: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def row(self, way: str) -> list[object]:
        each, rate = self.tokens / self.requests, self.tokens / self.wall_s
        return [way, self.requests, self.tokens, each, rate, self.wall_s, self.cpu_s, self.truncated]


class Clock:
    """Seconds by what they went into; what is measured inside another part is not counted there."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = [0.0]

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            whole = time.perf_counter() - began
            self.seconds[part] = self.seconds.get(part, 0.0) + whole - self._inside.pop()
            self._inside[-1] += whole

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count the time in the product's own functions."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in PARTS]
        for owner, name, part in PARTS:
            setattr(owner, name, self._timed(getattr(owner, name), part))
        try:
            yield
        finally:
            for owner, name, function in before:
                setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.of(part):
                return function(*args, **kwargs)

        return timed


class TimedWorkers(PatchWorkers):
    """Counts what its processes take."""

    seconds = 0.0
    lock = threading.Lock()

    def _prepare(self, path: Path, rule: PatchRule) -> Patches:
        began = time.perf_counter()
        try:
            return super()._prepare(path, rule)
        finally:
            with self.lock:
                self.seconds += time.perf_counter() - began


@dataclass
class Ways:
    """One model and one set of settings for all of them. `clocks`: of the reference's way and of ours."""

    loaded: LoadedModel
    settings: GenerationSettings
    workers: TimedWorkers
    reference_clock: Clock
    our_clock: Clock

    def reference(self, requests: Sequence[Request], tally: Tally) -> None:
        """One at a time through transformers' `generate`, the processor in line."""
        tokenizer, settings = self.loaded.tokenizer, self.settings
        with counting(tally):
            for request in requests:
                with self.reference_clock.of(PICTURES):
                    prompt = [([Message("user", request.prompt)], list(request.images))]
                    batch = encode_prompts(self.loaded.processor, prompt)
                with self.reference_clock.of("generate"):
                    ids = self.loaded.model.generate(
                        batch,
                        do_sample=True,
                        temperature=settings.temperature,
                        top_p=settings.top_p,
                        top_k=0,
                        max_new_tokens=settings.max_new_tokens,
                        eos_token_id=self.loaded.end_token_ids,
                        pad_token_id=tokenizer.pad_token_id,
                    )
                written = ids[0, batch["input_ids"].shape[1] :].tolist()
                tokenizer.decode(written)
                tally.requests += 1
                tally.tokens += len(written)
                tally.truncated += written[-1] not in self.loaded.end_token_ids

    def ours(self, requests: Sequence[Request], tally: Tally) -> None:
        with counting(tally), self.our_clock.watching(), self.our_clock.of("the rest"):
            self._count(generate(self.loaded, requests, self.settings, workers=self.workers), tally)

    def ours_one_at_a_time(self, requests: Sequence[Request], tally: Tally) -> None:
        with counting(tally):
            alone = replace(self.settings, batch_size=1)
            self._count(generate(self.loaded, requests, alone, workers=self.workers), tally)

    def plain_in_batches(self, requests: Sequence[Request], tally: Tally) -> None:
        with counting(tally):
            self._count(generate_plainly(self.loaded, requests, self.settings), tally)

    def _count(self, results: Iterator[Any], tally: Tally) -> None:
        for result in results:
            if not isinstance(result, Output):
                raise RuntimeError(f"{result.id}: {result.sentence}")
            tally.requests += 1
            tally.tokens += result.tokens or 0
            tally.truncated += result.truncated


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    yield
    tally.wall_s += time.perf_counter() - wall
    tally.cpu_s += cpu_seconds() - cpu
