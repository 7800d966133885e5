"""`generate` from a shell: JSON lines that can be gone on with, failures said and tried again."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelhub.ml.__main__ import main
from tests.chat_server import chat, chat_server, error

Printed = pytest.CaptureFixture[str]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_model_in_memory_prints_json_lines(base: Path, pictures: list[Path], capsys: Printed) -> None:
    files = [str(path) for path in pictures[:2]]
    command = ["generate", *files, "--model", str(base), "--preset", "interactive", "--seed", "7"]
    assert main([*command, "--max-new-tokens", "4"]) == 0
    printed = capsys.readouterr()
    found = {line["id"]: line for line in lines(printed.out)}
    assert set(found) == set(files)
    for line in found.values():
        settings, model = line["settings"], line["model"]
        assert (settings["seed"], settings["repetition_penalty"], settings["no_repeat_ngram"]) == (7, 1.2, 3)
        assert (model["backend"], model["bias_mode"]) == ("transformers", "off") and model["versions"]["torch"]
        assert line["tokens"] <= 4 and line["seconds"] > 0 and line["details"]["prompt_tokens"] > 0
    assert "2 written, 0 failed" in printed.err


def test_a_server_that_fails_once_is_asked_again_by_the_same_command(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "r.jsonl").write_text('{"id": "a", "prompt": "one"}\n{"id": "b", "prompt": "two"}\n')
    out = tmp_path / "out.jsonl"
    with chat_server() as server:
        command = ["generate", "--backend", "openai", "--url", server.url, "--served-model", "m"]
        command += ["--requests", str(tmp_path / "r.jsonl"), "--out", str(out)]
        server.answer = lambda asked, before: error(400, "no") if asked.prompt == "two" else chat("first")
        assert main(command) == 1
        assert "b: The server refused the request (status 400): no." in capsys.readouterr().err
        assert {line["id"]: line.get("text") for line in lines(out.read_text())} == {"a": "first", "b": None}
        server.answer = lambda asked, before: chat("second")
        assert main(command) == 0
        assert {line["id"]: line["text"] for line in lines(out.read_text())} == {"a": "first", "b": "second"}
        before = out.read_text()
        assert main([*command, "--seed", "1"]) == 1
        assert "choose another file" in capsys.readouterr().err and out.read_text() == before
        assert main([*command, "--batch-size", "3"]) == 0  # has no part in the texts
    assert [asked.prompt for asked in server.asked].count("one") == 1


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([], "--backend transformers needs --model"),
        (["--backend", "openai"], "needs --url and --served-model"),
        (["--backend", "openai", "--url", "http://10.1.1.1/v1", "--served-model", "m"], "not encrypted"),
        (["--model", "x", "--top-p", "2"], "top_p"),
    ],
)
def test_wrong_arguments_are_one_sentence(extra: list[str], words: str, capsys: Printed) -> None:
    assert main(["generate", "a.png", *extra]) == 1
    message = capsys.readouterr().err
    assert words in message and message.startswith("error: ") and message.count("\n") == 1
