"""A server may be slow, busy, wrong or silent: each request ends in a text or a sentence, and the key stays secret."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modelhub.ml.backends import chat_transport
from modelhub.ml.backends.base import BackendError, Failure, GenerationSettings, Output, Request, open_backend
from modelhub.ml.backends.chat_transport import asked_wait, wait_before
from modelhub.ml.backends.endpoint import EndpointSpec
from modelhub.ml.backends.openai import OpenAIBackend
from tests.chat_server import ChatServer, Reply, chat, chat_server, error
from tests.ml.random_checkpoint import make_image

SETTINGS = GenerationSettings(max_new_tokens=50, seed=3)
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_transport, "FIRST_WAIT_S", 0.01)


def ask(server: ChatServer, *prompts: str, settings: GenerationSettings = SETTINGS, **spec: Any) -> dict[str, Any]:
    backend = open_backend(EndpointSpec(server.url, "m", **spec))
    try:
        requests = [Request(prompt, (), prompt) for prompt in prompts or ("a",)]
        results = {result.id: result for result in backend.generate(requests, settings)}
    finally:
        backend.close()
    assert set(results) == {request.id for request in requests}
    return results


def test_what_is_sent_and_what_is_kept(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    picture = make_image(tmp_path / "a.png", (90, 60))
    backend = open_backend(EndpointSpec(server.url + "/", "our-model", key_variable="TEST_API_KEY"))
    (output,) = backend.generate([Request("one", (picture,), "Describe <image>.")], SETTINGS)
    identity = backend.identity()
    backend.close()
    assert output == Output(
        "one",
        "<think>a</think><answer>b</answer>",
        7,
        output.seconds,  # type: ignore[union-attr]
        False,
        {
            "finish_reason": "stop",
            "prompt_tokens": 11,
            "answering_model": "served-20260101",
            "system_fingerprint": None,
        },
    )
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions" and asked.headers["Authorization"] == f"Bearer {KEY}"
    sent = {name: value for name, value in asked.body.items() if name != "messages"}
    assert sent.pop("seed") in range(2**31)
    assert sent == {"model": "our-model", "max_tokens": 50, "temperature": 0.7, "top_p": 0.9}
    assert asked.prompt == "Describe <image>." and [image.size for image in asked.images] == [(90, 60)]
    assert identity["bias_mode"] == "off" and "weights are unknown" in identity["notes"][0]
    assert identity["endpoint_sha256"] == EndpointSpec(server.url, "our-model").digest
    assert KEY not in json.dumps([identity, vars(output)])


def test_seeds_depend_on_the_request_alone(server: ChatServer) -> None:
    ask(server, "a", "b")
    ask(server, "b", settings=replace(SETTINGS, do_sample=False, repetition_penalty=1.2))
    ask(server, "b", settings=replace(SETTINGS, seed=4, temperature=1.0, top_p=1.0))
    seeds = {(asked.prompt, number > 2): asked.body["seed"] for number, asked in enumerate(server.asked)}
    assert len(set(seeds.values())) == 3
    greedy, plain = server.asked[2].body, server.asked[3].body
    assert greedy["seed"] == seeds["b", False]
    assert greedy["temperature"] == 0 and greedy["repetition_penalty"] == 1.2 and "top_p" not in greedy
    assert not {"temperature", "top_p"} & set(plain)


def test_pictures_are_made_small_and_lose_their_camera_data(server: ChatServer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    Image.effect_noise((2400, 1600), 80).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    backend = OpenAIBackend(EndpointSpec(server.url, "m"))
    list(backend.generate([Request("a", (tmp_path / "a.jpg",), "x")], replace(SETTINGS, max_pixels=90_000)))
    (gone,) = backend.generate([Request("b", (tmp_path / "gone.jpg",), "x")], SETTINGS)
    backend.close()
    (image,) = server.asked[0].images
    assert 80_000 < image.width * image.height <= 90_000 and abs(image.width / image.height - 1.5) < 0.01
    assert not image.getexif()
    assert isinstance(gone, Failure) and gone.kind == "image" and "gone.jpg" in gone.sentence
    assert len(server.asked) == 1


@pytest.mark.parametrize("first", [error(429, Retry_After="0"), error(500), error(503), Reply(b"<html>"), Reply(b"")])
def test_what_may_pass_is_asked_again(server: ChatServer, first: Reply) -> None:
    server.answer = lambda asked, before: chat() if before > 1 else first
    assert isinstance(ask(server)["a"], Output)
    assert len(server.asked) == 3
    assert len({json.dumps(asked.body) for asked in server.asked}) == 1


def test_a_server_that_hangs_or_trickles_fails_that_request_only(server: ChatServer) -> None:
    def answer(asked: Any, before: int) -> Reply:
        if asked.prompt == "hang":
            return replace(chat(), delay_s=3)
        return replace(chat(), trickle_s=0.05) if asked.prompt == "trickle" else chat()

    server.answer = answer
    results = ask(server, "hang", "well", "trickle", timeout_s=0.5, attempts=2)
    assert isinstance(results["well"], Output)
    for name in ("hang", "trickle"):
        assert results[name].kind == "server"
        assert results[name].sentence == "The server did not answer within 0.5 seconds. It was asked 2 times."


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (chat(None, refusal="I can't help with that."), "refused", "declined: I can't help"),
        (chat("half a te", reason="content_filter"), "refused", "content filter"),
        (chat("   "), "server", "empty text"),
        (chat("", reason="length"), "server", "Allow more tokens"),
        (chat("x", reason="tool_calls"), "server", "tool_calls"),
        (Reply(b'{"choices": []}'), "server", "no choices"),
        (Reply(b'{"choices": [{"message": null}]}'), "server", "no choices"),
        (Reply(b"[1, 2]"), "server", "no choices"),
        (Reply(b'{"choices": [{"message": {"content": 5}}]}'), "server", "empty text"),
        (Reply(b"{not json"), "server", "not JSON"),
        (error(400, "image too large"), "refused", "image too large"),
        (error(404, "no such model"), "refused", "no such model"),
        (error(429, Retry_After="4000"), "refused", "quota"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:1/"}), "refused", "status 302"),
        (error(500), "server", "status 500. It was asked 3 times"),
    ],
)
def test_each_wrong_answer_is_a_failure_with_its_reason(
    server: ChatServer, reply: Reply, kind: str, words: str
) -> None:
    server.answer = lambda asked, before: chat() if asked.prompt == "well" else reply
    results = ask(server, "a", "well", attempts=3)
    assert isinstance(results["well"], Output)
    assert isinstance(results["a"], Failure) and results["a"].kind == kind and words in results["a"].sentence


def test_truncation_and_reasoning_apart(server: ChatServer) -> None:
    replies = {
        "cut": chat("<think>a", reason="length"),
        "whole": chat("<answer>b</answer> and mo", reason="length"),
        "apart": chat("<answer>b</answer>", reasoning_content="because"),
        "uncounted": Reply(b'{"choices": [{"message": {"content": "c"}}], "usage": null}'),
    }
    server.answer = lambda asked, before: replies[asked.prompt]
    results = ask(server, *replies)
    assert {name: (o.text, o.truncated, o.tokens) for name, o in results.items()} == {
        "cut": ("<think>a", True, 7),
        "whole": ("<answer>b</answer>", False, 7),
        "apart": ("<think>because</think><answer>b</answer>", False, 7),
        "uncounted": ("c", False, None),
    }


def test_no_more_than_asked_are_under_way(server: ChatServer) -> None:
    server.answer = lambda asked, before: replace(chat(), delay_s=0.05)
    ask(server, *map(str, range(12)), concurrency=3)
    assert server.most_under_way == 3


def test_the_key_is_in_no_error_and_no_log(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_API_KEY", KEY)
    server.answer = lambda asked, before: error(400 if asked.prompt == "a" else 500, f"bad key {KEY}")
    results = ask(server, "a", "b", key_variable="TEST_API_KEY", attempts=2)
    assert "[key]" in results["a"].sentence
    assert KEY not in json.dumps([vars(result) for result in results.values()]) + caplog.text


def test_a_refused_key_ends_the_asking(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    server.answer = lambda asked, before: error(401, "Incorrect API key")
    results = ask(server, *"abcdefgh", key_variable="TEST_API_KEY", concurrency=1)
    assert {result.sentence for result in results.values()} == {
        "The server refused the key (status 401). Check the environment variable TEST_API_KEY."
    }
    assert len(server.asked) == 1


def test_a_server_that_is_away_is_not_asked_for_ever(server: ChatServer) -> None:
    server.answer = lambda asked, before: error(502)
    results = ask(server, *map(str, range(30)), concurrency=1, attempts=2)
    assert len(server.asked) == 2 * chat_transport.SILENT_IN_A_ROW
    assert "was not asked again" in results["29"].sentence


def test_nobody_there_is_a_sentence() -> None:
    backend = OpenAIBackend(EndpointSpec("http://127.0.0.1:9/v1", "m", attempts=1))
    (result,) = backend.generate([Request("a", (), "x")], SETTINGS)
    assert isinstance(result, Failure) and result.sentence.startswith("The server cannot be reached.")


def test_newer_models_call_the_limit_otherwise(server: ChatServer) -> None:
    def answer(asked: Any, before: int) -> Reply:
        known = "max_completion_tokens" in asked.body
        return chat() if known else error(400, "Use 'max_completion_tokens' instead of 'max_tokens'.")

    server.answer = answer
    assert all(isinstance(result, Output) for result in ask(server, "a", "b", concurrency=1).values())
    assert [asked.body.get("max_completion_tokens") for asked in server.asked] == [None, 50, 50]


def test_stopping_does_not_wait_for_the_server(server: ChatServer) -> None:
    class Stop(Exception):
        pass

    def tick() -> None:
        raise Stop

    server.answer = lambda asked, before: chat() if asked.prompt == "0" else replace(chat(), delay_s=2)
    backend = OpenAIBackend(EndpointSpec(server.url, "m", concurrency=2))
    results = backend.generate([Request(str(i), (), str(i)) for i in range(50)], SETTINGS, tick=tick)
    with pytest.raises(Stop):
        list(results)
    backend.close()
    assert len(server.asked) < 10


def test_addresses_and_variables_are_checked() -> None:
    for url in ("ftp://x/v1", "localhost:8000", "https://me:secret@x/v1", "https://x/v1?key=1", "http://10.0.0.7/v1"):
        with pytest.raises(ValueError, match=r"server|password|encrypted"):
            EndpointSpec(url, "m")
    assert EndpointSpec("http://10.0.0.7/v1", "m", on_site=True).leaves_site is False
    assert EndpointSpec("http://localhost:8000/v1/", "m").url == "http://localhost:8000/v1"
    assert EndpointSpec("https://api.example.org/v1", "m").leaves_site
    for variable in ("SECRET_KEY", "DATABASE_URL", "lower_api_key", "A_API_KEY; rm"):
        with pytest.raises(ValueError, match="key variable"):
            EndpointSpec("https://x/v1", "m", key_variable=variable)
    with pytest.raises(BackendError, match="UNSET_API_KEY is not set"):
        OpenAIBackend(EndpointSpec("https://x/v1", "m", key_variable="UNSET_API_KEY"))
    with pytest.raises(ValueError, match="no_repeat_ngram"):
        OpenAIBackend(EndpointSpec("https://x/v1", "m")).generate([], replace(SETTINGS, no_repeat_ngram=3))


def test_waits_double_are_scattered_and_obey_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_transport, "FIRST_WAIT_S", 1.0)
    for attempt in range(10):
        longest = min(60.0, 2.0**attempt)
        waits = {wait_before(attempt, None) for _ in range(20)}
        assert longest / 2 <= min(waits) and max(waits) <= longest and len(waits) > 10
    assert 7 <= wait_before(0, 7.0) <= 8
    assert asked_wait("12") == 12 and asked_wait(None) is None and asked_wait("soon") is None
    assert 25 < (asked_wait(formatdate(time.time() + 30, usegmt=True)) or 0) <= 30


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from modelhub.ml.backends.base import open_backend; "
        "from modelhub.ml.backends.endpoint import EndpointSpec; "
        "open_backend(EndpointSpec('http://localhost/v1', 'm')).identity(); "
        "assert not {'torch', 'transformers', 'django'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
