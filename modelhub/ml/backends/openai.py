"""The backend that asks an OpenAI-compatible server (vLLM, SGLang, a commercial one). Needs no torch.

The key comes from the environment each time; it is in no record, log line or error. Pictures go inline, encoded anew,
so that nothing but their pixels is sent.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.metadata import version
from typing import Any

from modelhub.ml.backends.base import Failure, GenerationSettings, Output, Request, Tick, check_ids, seed_of
from modelhub.ml.backends.chat_reply import read_reply
from modelhub.ml.backends.chat_transport import Refused, Transport, Unreachable
from modelhub.ml.backends.endpoint import EndpointSpec
from modelhub.ml.backends.inline_images import data_url

NOTE = "written by a server: its weights are unknown, and the side branch's bias has no part in it"
TICK_S = 0.5
LIBRARIES = ("httpx2", "pillow")


class OpenAIBackend:
    """Texts by a server. Several requests are under way at once; each is retried, then fails by itself."""

    name = "openai"

    def __init__(self, spec: EndpointSpec) -> None:
        """Raises BackendError where the key's variable is not set."""
        spec.key()
        self.spec = spec
        self._transport = Transport(spec)

    def identity(self) -> dict[str, Any]:
        """`backend`, `url`, `served_model`, `endpoint_sha256`, `bias_mode` off, `notes`, `versions`."""
        return {
            "backend": self.name,
            "url": self.spec.url,
            "served_model": self.spec.model,
            "endpoint_sha256": self.spec.digest,
            "weights_sha256": None,
            "bias_mode": "off",
            "notes": [NOTE],
            "versions": {name: version(name) for name in LIBRARIES},
        }

    def generate(
        self, requests: Sequence[Request], settings: GenerationSettings, *, tick: Tick | None = None
    ) -> Iterator[Output | Failure]:
        """As `Backend.generate`, in the order of the answers. `batch_size` and `min_pixels` have no meaning here."""
        check_ids(requests)
        if settings.no_repeat_ngram:
            raise ValueError("a server cannot be told not to repeat sequences: set no_repeat_ngram to 0")
        self._transport.reopen()
        return self._collect(requests, settings, tick)

    def _collect(
        self, requests: Sequence[Request], settings: GenerationSettings, tick: Tick | None
    ) -> Iterator[Output | Failure]:
        waiting = iter(requests)
        asked: set[Future[Output | Failure]] = set()
        pool = ThreadPoolExecutor(self.spec.concurrency, thread_name_prefix="requests")
        try:
            while True:
                while len(asked) < 2 * self.spec.concurrency and (request := next(waiting, None)) is not None:
                    asked.add(pool.submit(self._ask, request, settings))
                if not asked:
                    return
                done, asked = wait(asked, timeout=TICK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                if tick is not None:
                    tick()
        finally:
            self._transport.stop()
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, request: Request, settings: GenerationSettings) -> Output | Failure:
        """One request to its end."""
        began = time.monotonic()
        try:
            body = self._body(request, settings)
        except (OSError, ValueError) as error:
            return Failure(request.id, "image", f"{error}.")
        try:
            reply = self._transport.post(body)
        except Refused as error:
            return Failure(request.id, "refused", str(error))
        except Unreachable as error:
            return Failure(request.id, "server", str(error))
        return read_reply(request.id, reply, time.monotonic() - began)

    def _body(self, request: Request, settings: GenerationSettings) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": data_url(path, settings.max_pixels)}} for path in request.images
        ]
        content.append({"type": "text", "text": request.prompt})
        body: dict[str, Any] = {
            "model": self.spec.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": settings.max_new_tokens,
            "seed": seed_of(settings.seed, request.id) >> 32,  # 31 bits: what every server takes
        }
        if not settings.do_sample:
            body["temperature"] = 0.0
        else:
            # 1 is every server's default, and some models take nothing else but its absence
            sampling = {"temperature": settings.temperature, "top_p": settings.top_p}
            body |= {name: value for name, value in sampling.items() if value != 1.0}
        if settings.repetition_penalty != 1.0:
            body["repetition_penalty"] = settings.repetition_penalty  # vLLM's and SGLang's own
        return body

    def close(self) -> None:
        self._transport.close()
