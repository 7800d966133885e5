"""What every backend takes and gives. Imports no torch, so that light processes can use a backend too."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from modelhub.ml.backends.openai import EndpointSpec
    from modelhub.ml.loading import LoadSpec

_ANSWER_END = re.compile(r"</answer>", re.IGNORECASE)
_THINK = re.compile(r"<(/?)think>", re.IGNORECASE)


@dataclass(frozen=True)
class GenerationSettings:
    """How to write. The defaults are the paper's evaluation settings (arXiv 2511.15242).

    `do_sample` False is greedy: temperature and top_p are unused. `no_repeat_ngram`: no sequence of so many tokens is
    written twice, 0 for no such rule. `min_pixels`, `max_pixels` narrow the checkpoint's bounds of a resized picture (a
    comparison model resizes its own way; a server is sent at most `max_pixels`). `batch_size`: requests in work at
    once, which changes the speed and not the texts.
    """

    do_sample: bool = True
    temperature: float = 0.7
    top_p: float = 0.9
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    max_new_tokens: int = 4096
    min_pixels: int | None = None
    max_pixels: int | None = None
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
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram must be 0 or more, it is {self.no_repeat_ngram}")
        if (self.min_pixels or 0) < 0 or (self.max_pixels or self.min_pixels or 1) < (self.min_pixels or 1):
            raise ValueError("min_pixels and max_pixels must be positive and in this order")


# The paper's two ways of running the model; a checkpoint's own pixel bounds are wider than both.
EVALUATION = GenerationSettings(min_pixels=3_136, max_pixels=1_003_520)
INTERACTIVE = GenerationSettings(
    repetition_penalty=1.2,
    no_repeat_ngram=3,
    max_new_tokens=1024,
    min_pixels=256 * 28 * 28,
    max_pixels=1280 * 28 * 28,
)


@dataclass(frozen=True)
class Request:
    """`images`: none, one or several; `<image>` marks in the prompt place them, else they stand first."""

    id: str
    images: tuple[Path, ...]
    prompt: str


@dataclass(frozen=True)
class Output:
    """`text` raw with its reasoning tags. `tokens` written, the end token among them, None where a server did not say.
    `seconds`: the time in work divided by the requests that shared it. `truncated`: stopped by max_new_tokens.
    `details`: what else is known of this one text (tokens of the prompt, what a server said about itself).
    """

    id: str
    text: str
    tokens: int | None
    seconds: float
    truncated: bool
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A request without a text: `sentence` says why and what to do. `kind` tells whose fault it was."""

    id: str
    kind: Literal["request", "image", "memory", "model", "server", "refused"]
    sentence: str


class BackendError(RuntimeError):
    """The backend cannot work at all; the message is a sentence for people."""


Tick = Callable[[], None]


class Backend(Protocol):
    """Something that writes texts for requests."""

    def identity(self) -> dict[str, Any]:
        """What to store with every text, as plain data: at least `backend` (its name), `bias_mode`, `notes` (sentences
        for whoever reads the texts) and `versions` (of the libraries that had a part)."""

    def generate(
        self, requests: Sequence[Request], settings: GenerationSettings, *, tick: Tick | None = None
    ) -> Iterator[Output | Failure]:
        """Exactly one output or failure per request, each as soon as it is known, in any order.

        One request's failure leaves the others alone. `tick` is called every now and then while work goes on; what it
        raises ends the work. Raises ValueError for two requests with one id or settings the backend cannot follow.
        """

    def close(self) -> None:
        """Give back memory, processes and connections; a second call does nothing."""


def open_backend(spec: "LoadSpec | EndpointSpec", *, patch_cache: Path | None = None) -> Backend:
    """The backend of a spec. `patch_cache`: folder in which prepared pictures are kept between runs, or none.

    Raises CheckpointError or BackendError in plain words.
    """
    from modelhub.ml.backends.openai import EndpointSpec, OpenAIBackend

    if isinstance(spec, EndpointSpec):
        return OpenAIBackend(spec)
    from modelhub.ml.backends.transformers import TransformersBackend
    from modelhub.ml.loading import load

    return TransformersBackend(load(spec), patch_cache=patch_cache)


def check_ids(requests: Sequence[Request]) -> None:
    """Raises ValueError where two requests have one id."""
    if len({request.id for request in requests}) != len(requests):
        raise ValueError("two requests have the same id")


def seed_of(seed: int, request_id: str) -> int:
    """The seed of one request, below 2^63: it depends on no other request and on no restart."""
    digest = hashlib.sha256(f"{seed}\n{request_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def answer_end(text: str) -> int | None:
    """Where the text's answer is complete: just behind the first `</answer>` that is not inside the thinking."""
    for match in _ANSWER_END.finditer(text):
        depth = sum(-1 if tag[1] else 1 for tag in _THINK.finditer(text, 0, match.start()))
        if depth <= 0:
            return match.end()
    return None
