"""Golden numbers of the public reference: outputs within 1e-5, gradients within 1e-4, and a wrong number is noticed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from modelhub.ml.__main__ import main
from modelhub.ml.parity import run_folder

GOLDEN = Path(__file__).parent.parent / "data" / "parity"


def test_golden_case_passes_with_gradients() -> None:
    (report,) = run_folder(GOLDEN)
    assert report.passed
    assert set(report.losses) == {"loss_sft", "loss_distill", "loss_aux", "loss_skin", "total"}
    assert {"vision_embed", "logits_biased", "routing_top2", "text_bias"} <= set(report.outputs)
    assert report.gradient is not None and 0 < report.gradient < 1e-4


@pytest.mark.parametrize("tensor", ["out.skin_logits", "out.logits_biased"])
def test_a_wrong_golden_number_fails(tensor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    file = folder / "case4_narrow32.safetensors"
    values = load_file(file)
    values[tensor][0, 0] += 1e-3
    save_file(values, file)
    assert main(["parity", str(folder), "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["passed"] is False


def test_an_empty_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(tmp_path)]) == 2
    assert "holds no golden case" in capsys.readouterr().err


@pytest.mark.parametrize("tensor", ["logit_bias_scale", "distill_head.adapters.1.router_img.weight"])
def test_a_wrong_golden_gradient_fails(tensor: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    file = folder / "case4_narrow32.grads-0.safetensors"
    values = load_file(file)
    values[tensor] = values[tensor] * (1 + 3e-4)
    save_file(values, file)
    (report,) = run_folder(folder)
    assert not report.passed and report.worst_gradient == tensor and report.gradient is not None
    assert 2e-4 < report.gradient < 4e-4


def test_the_table_names_every_term(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(GOLDEN)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    names = ["case", "outputs", "loss_sft", "loss_distill", "loss_aux", "loss_skin", "total", "gradients"]
    assert head.split() == names and len(row.split()) == len(names)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def truncated(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:1000])


def rewritten(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        if name.endswith(".json"):
            content = json.loads(path.read_text())
            change(content)
            path.write_text(json.dumps(content))
        else:
            tensors = load_file(path)
            change(tensors)
            save_file(tensors, path)

    return apply


CASE = "case4_narrow32"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without(f"{CASE}.grads-0.safetensors"), "case4_narrow32.grads-0.safetensors is missing"),
        (without(f"{CASE}.safetensors"), "case4_narrow32.safetensors is missing"),
        (without(f"{CASE}.side_params.safetensors"), "side_params.safetensors is missing"),
        (without("backbone_narrow.safetensors"), "backbone_narrow.safetensors is missing"),
        (without("config.json"), "config.json is missing"),
        (truncated(f"{CASE}.safetensors"), "not a whole safetensors file"),
        (truncated(f"{CASE}.json"), "not readable as JSON"),
        (lambda f: (f / "index.json").write_text('{"cases": ["case9_gone"]}'), "case9_gone.json is missing"),
        (rewritten(f"{CASE}.json", lambda c: c.pop("weights")), "weights is missing"),
        (rewritten(f"{CASE}.json", lambda c: c["scalars"].pop("loss_aux")), "loss_aux is missing"),
        (rewritten(f"{CASE}.safetensors", lambda t: t.pop("in.labels")), "labels is missing"),
        (rewritten(f"{CASE}.safetensors", lambda t: t.pop("in.image_grid_thw")), "image_grid_thw is missing"),
        (
            rewritten(f"{CASE}.safetensors", lambda t: t.update({"out.other": t["out.text_bias"].clone()})),
            "out.other has no counterpart",
        ),
        (
            rewritten(f"{CASE}.safetensors", lambda t: t.update({"out.vision_embed": t["out.vision_embed"][:1]})),
            "a golden tensor is",
        ),
        (
            rewritten(f"{CASE}.side_params.safetensors", lambda t: t.pop("distill_head.in_proj.weight")),
            "distill_head.in_proj.weight",
        ),
    ],
)
def test_a_broken_or_incomplete_case_is_a_sentence_and_two(
    damage: Callable[[Path], None], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    damage(folder)
    assert main(["parity", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and "Traceback" not in said


def test_a_case_of_its_own_kind_is_found_without_an_index(tmp_path: Path) -> None:
    """Left-padded rows and another top-k, made by the same functions: the sizes come from the files alone."""
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    description = json.loads((folder / f"{CASE}.json").read_text())
    golden = load_file(folder / f"{CASE}.safetensors")
    padded = {f"in.{name}": functional.pad(golden[f"in.{name}"], (3, 0)) for name in ("input_ids", "attention_mask")}
    padded["in.mm_token_type_ids"] = functional.pad(golden["in.mm_token_type_ids"], (3, 0))
    padded["in.labels"] = functional.pad(golden["in.labels"], (3, 0), value=-100)
    padded["out.positions"] = golden["out.positions"] + torch.tensor([0, 3])
    save_file(golden | padded, folder / "case5_left.safetensors")
    (folder / "case5_left.json").write_text(json.dumps(description))
    reports = {report.case: report for report in run_folder(folder)}
    assert reports["case5_left"].passed, reports["case5_left"]
    assert reports["case5_left"].gradient is not None
