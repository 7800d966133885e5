"""Training the side branch: from a teacher's features, of its own width, and the same bytes after a round trip."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from modelhub.ml.adapter_files import write_adapter
from modelhub.ml.branch import FIRST_VERSION
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.losses import NO_LABEL, distillation_loss, skin_loss
from modelhub.ml.train import train
from modelhub.ml.train_data import DatasetError
from tests.ml.random_checkpoint import make_dataset
from tests.ml.trainings import SIZES, events, losses, quick


def test_missing_teacher_features_and_labels_are_left_out() -> None:
    projected, teacher = torch.randn(3, 5), torch.randn(3, 5)
    present = torch.tensor([True, False, True])
    both = distillation_loss(projected[present], teacher[present], torch.tensor([True, True]), 2)
    assert torch.equal(distillation_loss(projected, teacher, present, 2), both)  # type: ignore[arg-type]
    expected = 10 * (1 - torch.cosine_similarity(projected[present], teacher[present])).mean()
    torch.testing.assert_close(both, expected)
    assert distillation_loss(projected, teacher, torch.zeros(3, dtype=torch.bool), 0) is None
    logits, labels = torch.randn(3, 3), torch.tensor([0, NO_LABEL, 2])
    expected = torch.nn.functional.cross_entropy(logits[[0, 2]], labels[[0, 2]])
    torch.testing.assert_close(skin_loss(logits, labels, 2), expected)
    assert skin_loss(logits, torch.full((3,), NO_LABEL), 0) is None


def test_the_first_version_of_the_branch_learns_from_a_teacher_alone(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(8):
        np.save(data / "images" / f"{i}.png.npy", np.linspace(-1, i, 10, dtype=np.float32))
    sizes = FIRST_VERSION | {"embed": 24, "expert_width": 8, "rank": 6, "teacher_width": 10}
    settings = quick(recipe="dual_distillation", epochs=10, branch_sizes=sizes)
    result = train(base=base, data=data, out=tmp_path / "out", settings=settings)
    found = events(tmp_path / "out", "step")
    assert {e["losses"]["balance"] for e in found} == {e["losses"]["skin"] for e in found} == {None}
    assert found[-1]["losses"]["distill"] < 0.9 * found[0]["losses"]["distill"]
    reloaded = load(LoadSpec(base, result.adapter)).model
    assert reloaded.branch is not None and reloaded.branch.config.experts == reloaded.branch.config.skin_classes == 0
    assert reloaded.bias_mode == "all_steps"


def test_a_saved_branch_and_adapter_are_the_same_bytes_after_a_round_trip(
    base: Path, dataset: Path, tmp_path: Path
) -> None:
    result = train(base=base, data=dataset, out=tmp_path / "out", settings=quick(recipe="both"))
    write_adapter(tmp_path / "again", load(LoadSpec(base, result.adapter), merge_adapter=False).model, {})
    files = {path.name for path in result.adapter.iterdir()} - {"provenance.json"}
    assert files == {path.name for path in (tmp_path / "again").iterdir()} - {"provenance.json"}
    assert {"adapter_model.safetensors", "skin_branch.safetensors", "skin_branch.json"} <= files
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (result.adapter / name).read_bytes(), name


def test_teacher_features_are_used_and_counted(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(3):
        np.save(data / "images" / f"{i}.png.npy", np.ones(10, dtype=np.float32))
    result = train(base=base, data=data, out=tmp_path / "out", settings=quick(recipe="dual_distillation", batch=8))
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert provenance["teacher_features"] == {"present": 3, "missing": 5}
    found = losses(tmp_path / "out", "distill")
    assert found[-1] < found[0]
    np.save(data / "images" / "0.png.npy", np.ones(11, dtype=np.float32))
    with pytest.raises(DatasetError, match=r"0\.png\.npy must hold 10"):
        train(base=base, data=data, out=tmp_path / "out2", settings=quick(recipe="dual_distillation"))


def test_a_new_branch_has_the_width_of_the_features_and_an_old_one_keeps_its_own(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(1, 8):
        np.save(data / "images" / f"{i}.png.npy", np.ones(7, dtype=np.float32))
    sizes = {name: size for name, size in SIZES.items() if name != "teacher_width"}
    settings = quick(recipe="dual_distillation", epochs=1, branch_sizes=sizes)
    result = train(base=base, data=data, out=tmp_path / "out", settings=settings)
    assert json.loads((result.adapter / "skin_branch.json").read_text())["teacher_width"] == 7
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert provenance["teacher_features"] == {"present": 7, "missing": 1}
    for i in range(1, 8):
        np.save(data / "images" / f"{i}.png.npy", np.ones(9, dtype=np.float32))
    with pytest.raises(DatasetError, match=r"1\.png\.npy must hold 7 finite numbers"):
        train(base=base, data=data, out=tmp_path / "more", settings=settings, start_adapter=result.adapter)
