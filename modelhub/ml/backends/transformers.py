"""The backend that runs a loaded model in this process."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from modelhub.ml.backends.base import Failure, GenerationSettings, Output, Request, Tick
from modelhub.ml.backends.streaming import stream_text
from modelhub.ml.decoder import Decoder
from modelhub.ml.generate import generate
from modelhub.ml.generate_plain import generate_plainly
from modelhub.ml.loading import LoadedModel
from modelhub.ml.patches import PatchWorkers
from modelhub.ml.reading import TextReader
from modelhub.ml.running_batch import OnToken

OWN_WAY = "a comparison model resizes pictures its own way: the settings' pixel bounds have no part in it"
LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "pillow")


class TransformersBackend:
    """Generation by a model in memory; pictures are prepared by processes of their own, which start when needed."""

    name = "transformers"

    def __init__(self, loaded: LoadedModel, *, patch_cache: Path | None = None) -> None:
        self.loaded: LoadedModel | None = loaded
        self._identity = asdict(loaded.identity) | {
            "backend": self.name,
            "device": loaded.spec.device,
            "versions": library_versions(),
        }
        if loaded.identity.comparison:
            self._identity["notes"] = [*loaded.identity.notes, OWN_WAY]
        self._workers = PatchWorkers(cache=patch_cache)

    def identity(self) -> dict[str, Any]:
        """The fields of `loading.Identity`, and `backend`, `device`, `versions`."""
        return dict(self._identity)

    def generate(
        self,
        requests: Sequence[Request],
        settings: GenerationSettings,
        *,
        tick: Tick | None = None,
        on_token: OnToken | None = None,
    ) -> Iterator[Output | Failure]:
        """As `Backend.generate`; `on_token` gets a request's id and all tokens written so far, after each."""
        loaded = self._open()
        if not Decoder.fits(loaded.model):
            return generate_plainly(loaded, requests, settings, tick=tick, on_token=on_token)
        return generate(loaded, requests, settings, workers=self._workers, tick=tick, on_token=on_token)

    def stream(self, request: Request, settings: GenerationSettings, *, timeout_s: float) -> Iterator[str]:
        """The text piece by piece as it is written. Raises StreamError where the request fails, and where nothing new
        comes for `timeout_s` seconds; ending the iteration ends the work."""
        reader = TextReader(self._open())

        def start(tick: Tick, on_text: Any) -> Iterator[Output | Failure]:
            return self.generate([request], settings, tick=tick, on_token=lambda _, ids: on_text(reader.text(ids)))

        return stream_text(start, timeout_s=timeout_s)

    def close(self) -> None:
        """Free the model's memory, on the card too, and end the processes."""
        self._workers.close()
        self.loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _open(self) -> LoadedModel:
        if self.loaded is None:
            raise RuntimeError("this backend is closed")
        return self.loaded


@cache
def library_versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
