"""Golden numbers of the public reference: outputs within 1e-5, gradients within 1e-4, and a wrong number is noticed."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

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
    assert main(["parity", str(tmp_path)]) == 1
    assert "holds no golden case" in capsys.readouterr().err
