"""The shell commands: exit codes, one plain sentence for an error, output that can be resumed, light imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelhub.ml.__main__ import main


def test_train_then_generate_then_resume(
    base: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--base", str(base), "--data", str(dataset), "--out", str(tmp_path / "run"), "--json"]
    assert main([*train, "--epochs", "1", "--batch", "4", "--rank", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    out = tmp_path / "out.jsonl"
    requests = dataset / "requests.jsonl"
    requests.write_text('{"id": "a", "images": ["images/0.png"]}\n{"id": "b", "images": [], "prompt": "Hi"}\n')
    generate = ["generate", "--model", str(base), "--adapter", result["adapter"], "--max-new-tokens", "4"]
    generate += ["--requests", str(requests), "--out", str(out)]
    assert main(generate) == 0
    whole = out.read_text()
    first, second = map(json.loads, whole.splitlines())
    assert {first["id"], second["id"]} == {"a", "b"}
    assert first["settings"]["seed"] == 42 and first["model"]["adapter_sha256"]

    out.write_text(whole.splitlines()[0] + "\n" + whole.splitlines()[1][:20])  # killed while writing
    assert main(generate) == 0
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(o["id"], o["text"]) for o in again] == [(first["id"], first["text"]), (second["id"], second["text"])]


def test_errors_are_one_sentence(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", str(base)]) == 1
    assert capsys.readouterr().err == "error: give either images or --requests\n"
    assert main(["train", "--base", str(base), "--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 1
    assert "train.jsonl does not exist" in capsys.readouterr().err


def test_help_and_package_import_load_no_torch() -> None:
    code = (
        "import sys, modelhub, modelhub.ml, modelhub.ml.__main__ as m; m.build_parser().format_help();"
        'assert not {"torch", "transformers", "peft", "django"} & set(sys.modules), "heavy import"'
    )
    subprocess.run([sys.executable, "-c", code], check=True)
