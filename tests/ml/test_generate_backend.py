"""The backend in memory: what it says of itself, its stream, and that no stream waits for ever."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from modelhub.ml.backends.base import Backend, Failure, GenerationSettings, Output, Request, open_backend
from modelhub.ml.backends.streaming import StreamError, stream_text
from modelhub.ml.backends.transformers import TransformersBackend
from modelhub.ml.decoder import Decoder
from modelhub.ml.loading import LoadSpec

SHORT = GenerationSettings(do_sample=False, max_new_tokens=12)


@pytest.fixture
def backend(base_with_branch: Path) -> Iterator[TransformersBackend]:
    opened: Backend = open_backend(LoadSpec(base_with_branch))
    assert isinstance(opened, TransformersBackend)
    yield opened
    opened.close()


def test_identity_names_what_a_text_depends_on(backend: TransformersBackend) -> None:
    identity = backend.identity()
    assert (identity["backend"], identity["bias_mode"], identity["device"]) == ("transformers", "all_steps", "cpu")
    assert len(identity["weights_sha256"]) == 64 and identity["precision"] == "float32"
    assert set(identity["versions"]) == {"torch", "transformers", "tokenizers", "peft", "pillow"}


def test_many_pictures_go_through_the_workers(backend: TransformersBackend, pictures: list[Path]) -> None:
    requests = [Request(f"{i}{j}", (path,), "x" * j) for i, path in enumerate(pictures) for j in range(1, 3)]
    together = {result.id: result for result in backend.generate(requests, SHORT)}
    assert backend._workers._running
    for request in requests[:2]:
        (alone,) = backend.generate([request], SHORT)
        assert isinstance(alone, Output) and alone.text == together[request.id].text  # type: ignore[union-attr]


def test_the_stream_is_the_text(backend: TransformersBackend, pictures: list[Path]) -> None:
    request = Request("a", (pictures[0],), "Describe.")
    (whole,) = backend.generate([request], SHORT)
    pieces = list(backend.stream(request, SHORT, timeout_s=60))
    assert isinstance(whole, Output) and "".join(pieces) == whole.text
    assert len(pieces) > 3 and not any(piece.endswith("\ufffd") for piece in pieces[:-1])


def test_a_model_that_raises_ends_the_stream(
    backend: TransformersBackend, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter(range(4))
    step = Decoder.step

    def breaks(decoder: Decoder, tokens: torch.Tensor, longest: int) -> torch.Tensor:
        if next(steps, None) is None:
            raise RuntimeError("the card fell off")
        return step(decoder, tokens, longest)

    monkeypatch.setattr(Decoder, "step", breaks)
    pieces = []
    with pytest.raises(StreamError, match=r"refused this request \(RuntimeError\)"):
        for piece in backend.stream(Request("a", (pictures[0],), "x"), SHORT, timeout_s=60):
            pieces.append(piece)
    assert pieces
    with pytest.raises(StreamError, match=r"gone\.png"):
        list(backend.stream(Request("a", (Path("gone.png"),), "x"), SHORT, timeout_s=60))


def test_a_model_that_sleeps_ends_the_stream(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    awake = threading.Event()
    monkeypatch.setattr(Decoder, "step", lambda *_, **__: awake.wait(60))
    try:
        with pytest.raises(StreamError, match=r"Nothing new was written for 0\.2 seconds"):
            list(backend.stream(Request("a", (), "x"), SHORT, timeout_s=0.2))
    finally:
        awake.set()


def test_who_stops_reading_stops_the_work(backend: TransformersBackend, pictures: list[Path]) -> None:
    stream = backend.stream(Request("a", (pictures[0],), "x"), replace(SHORT, max_new_tokens=4096), timeout_s=60)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    for _ in range(600):
        if not any(thread.name == "stream" for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    pytest.fail("the work goes on")


@pytest.mark.parametrize(
    ("results", "words"),
    [([Failure("a", "server", "Out of order.")], "Out of order"), ([], "without a text"), (None, "see the log")],
)
def test_every_end_without_a_text_is_an_error(results: list[Failure] | None, words: str) -> None:
    def start(*_: object) -> Iterator[Output | Failure]:
        if results is None:
            raise KeyError("x")
        return iter(results)

    with pytest.raises(StreamError, match=words):
        list(stream_text(start, timeout_s=30))


def test_a_closed_backend_says_so(base: Path) -> None:
    backend = open_backend(LoadSpec(base))
    backend.close()
    backend.close()
    with pytest.raises(RuntimeError, match="closed"):
        backend.generate([Request("a", (), "x")], SHORT)
