"""One command says whether two backbones are equal, whatever the names, shards and the branch."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file

from modelhub.ml.__main__ import main
from modelhub.ml.compare_weights import compare, hash_checkpoint
from modelhub.ml.tensor_names import to_current_name
from tests.ml.random_checkpoint import make_checkpoint, make_shards


@pytest.fixture
def other_style(base: Path, tmp_path: Path) -> Path:
    """The same weights under the new names, in three shards."""
    folder = Path(shutil.copytree(base, tmp_path / "other"))
    state = load_bytes((folder / "model.safetensors").read_bytes())
    save_file(
        {to_current_name(k): v for k, v in state.items()}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    return make_shards(folder, 3)


def test_equal_backbones_are_equal_in_any_style(
    base: Path, other_style: Path, base_with_branch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(base_with_branch / "skin_branch.safetensors", other_style / "skin_branch.safetensors")
    assert main(["compare-weights", str(base), str(other_style)]) == 0
    said = capsys.readouterr().out.splitlines()
    tensors = len(load_bytes((base / "model.safetensors").read_bytes()))
    assert said[-1] == f"{tensors} tensors are equal; the backbones are equal."
    assert said[0].split() == ["side", "branch", "extra", "distill_head.adapters.0.experts.0.net.0.bias"]


def test_every_difference_is_named(
    base: Path, other_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "changed"))
    state = load_bytes((folder / "model.safetensors").read_bytes())
    state["lm_head.weight"][3, 4] += 1e-6
    state["model.norm.weight"] = state["model.norm.weight"].to(torch.bfloat16)
    state["visual.merger.mlp.0.bias"] = state["visual.merger.mlp.0.bias"].view(2, -1)
    del state["model.embed_tokens.weight"]
    state["model.more"] = torch.ones(1)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert main(["compare-weights", str(other_style), str(folder), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {d["name"]: d["what"] for d in found["backbone"]} == {
        "lm_head.weight": "values",
        "model.language_model.norm.weight": "dtype",
        "model.visual.merger.mlp.0.bias": "shape",
        "model.language_model.embed_tokens.weight": "missing",
        "model.language_model.more": "extra",
    }
    assert found["backbone_equal"] is False and found["branch"] == []


def test_other_weights_of_the_same_shape_are_different(base: Path, tmp_path: Path) -> None:
    found = compare(hash_checkpoint(base), hash_checkpoint(make_checkpoint(tmp_path / "other", seed=4)))
    assert found.equal < len(found.backbone) and {d.what for d in found.backbone} == {"values"}


def test_what_cannot_be_read_is_a_sentence(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-weights", str(base), str(tmp_path)]) == 1
    assert "holds neither model.safetensors nor" in capsys.readouterr().err


def test_inspect_prints_the_card(base_with_branch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(base_with_branch)]) == 0
    card = json.loads(capsys.readouterr().out)["model"]
    assert card["branch"]["state"] == "present" and card["branch"]["sizes"]["embed"] == 24
    assert card["config"]["hidden"] == 32 and card["config"]["tied_embeddings"] is True
    assert card["files"][0]["name"] == "model.safetensors" and card["stored_as"] == {"F32": card["parameters"]}
    (base_with_branch.parent / "nothing").mkdir(exist_ok=True)
    assert main(["inspect", str(base_with_branch.parent / "nothing")]) == 1
