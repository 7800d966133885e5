"""What loading refuses: missing, unexpected, misshapen or unreadable tensors by name, other architectures, nonsense."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.tensor_names import IN_PROJ, to_current_name
from modelhub.ml.weight_reading import read_weights
from tests.ml.rewriting import drop, read, rewrite


@pytest.fixture
def copy(base_with_branch: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base_with_branch, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("model.safetensors", drop("mlp.up_proj.weight"), r"missing tensors: model\.\w+\..*up_proj\.weight"),
        ("model.safetensors", lambda s: s.update(extra=torch.ones(1)), "unexpected tensors: extra"),
        (
            "model.safetensors",
            lambda s: s.update({"model.norm.weight": torch.ones(5)}),
            r"norm\.weight is \[5\], must be \[32\]",
        ),
        ("skin_branch.safetensors", drop("experts.3.net.2.bias"), r"experts\.3\.net\.2\.bias"),
        ("skin_branch.safetensors", drop("text_bias.0.weight"), r"lacks text_bias\.0\.weight"),
        ("skin_branch.safetensors", lambda s: s.update({IN_PROJ: torch.ones(24, 588)}), "patches of 588, not of 1176"),
        ("skin_branch.safetensors", lambda s: s.update(other=torch.ones(1)), "unexpected tensors: other"),
        (
            "skin_branch.safetensors",
            lambda s: s["text_bias.0.weight"].fill_(torch.nan),
            r"not a number, or infinite: text_bias\.0\.weight in .*skin_branch\.safetensors",
        ),
    ],
)
def test_wrong_tensors_are_named(
    copy: Path, file: str, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    rewrite(copy / file, change)
    with pytest.raises(CheckpointError, match=message):
        load(LoadSpec(copy))


def test_broken_files_are_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole"):
        load(LoadSpec(copy))
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    with pytest.raises(CheckpointError, match="Git LFS pointer"):
        load(LoadSpec(copy))
    weights.unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin are pickles"):
        load(LoadSpec(copy))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"metadata": {}}, "lists no weights"),
        ({"metadata": {}, "weight_map": {"lm_head.weight": "../other.safetensors"}}, "points outside"),
        ({"metadata": {}, "weight_map": {"lm_head.weight": "gone.safetensors"}}, r"gone\.safetensors is missing"),
    ],
)
def test_a_broken_index_is_refused(copy: Path, index: dict[str, object], message: str) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=message):
        load(LoadSpec(copy))


def test_other_architectures_and_own_code_are_refused(copy: Path) -> None:
    raw = json.loads((copy / "config.json").read_text())
    for change, message in (
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"model_type": "llama"}, "llama"),
        ({"architectures": ["Evil"]}, "Evil"),
    ):
        (copy / "config.json").write_text(json.dumps(raw | change))
        with pytest.raises(CheckpointError, match=message):
            load(LoadSpec(copy))


@pytest.mark.parametrize(
    "bad",
    [
        {"precision": "int3"},
        {"attention": "none"},
        {"bias_mode": "sometimes"},
        {"quantisation": "2bit"},
        {"device": "tpu"},
        {"device": "cuda:x"},
        {"quantisation": "4bit"},  # on the CPU
    ],
)
def test_nonsense_specs_are_refused(base: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be one of|needs a CUDA card|must be cpu"):
        LoadSpec(base, **bad)


def test_what_the_machine_lacks_is_said_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Path("/nowhere")
    with pytest.raises(CheckpointError, match="not a folder"):
        load(LoadSpec(nowhere))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="torch sees 1 CUDA cards"):
        load(LoadSpec(nowhere, device="cuda:1"))
    with pytest.raises(ValueError, match="needs the package bitsandbytes"):
        load(LoadSpec(nowhere, device="cuda", quantisation="4bit"))
    with pytest.raises(ValueError, match="needs the package flash-attn"):
        load(LoadSpec(nowhere, attention="flash_attention_2"))


def test_every_missing_and_unexpected_tensor_is_named(copy: Path) -> None:
    file = copy / "model.safetensors"
    gone = [key for key in read(file) if key.startswith("model.layers.")]
    extra = [f"model.more.{i}" for i in range(30)]
    assert len(gone) > 20
    rewrite(file, lambda s: [s.pop(key) for key in gone] + [s.update({key: torch.ones(1)}) for key in extra])
    with pytest.raises(CheckpointError) as caught:
        load(LoadSpec(copy))
    assert caught.value.missing == tuple(sorted(map(to_current_name, gone)))
    assert caught.value.unexpected == tuple(sorted(map(to_current_name, extra)))
    assert all(name in str(caught.value) for name in (*caught.value.missing, *caught.value.unexpected))


def test_wrong_shapes_are_named_with_both_shapes(copy: Path) -> None:
    rewrite(copy / "model.safetensors", lambda s: s.update({"model.norm.weight": torch.ones(5)}))
    with pytest.raises(CheckpointError) as caught:
        load(LoadSpec(copy))
    assert caught.value.shapes == {"model.language_model.norm.weight": ((5,), (32,))}


def test_an_untied_head_must_be_there(copy_of_untied: Path) -> None:
    rewrite(copy_of_untied / "model.safetensors", lambda s: s.pop("lm_head.weight"))
    with pytest.raises(CheckpointError, match=r"missing tensors: lm_head\.weight"):
        load(LoadSpec(copy_of_untied))


@pytest.fixture
def copy_of_untied(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "untied"))


def test_an_off_branch_must_still_be_whole(copy: Path) -> None:
    rewrite(
        copy / "skin_branch.safetensors", lambda s: [s.pop(IN_PROJ), s.pop("distill_head.adapters.1.router_img.weight")]
    )
    with pytest.raises(CheckpointError, match=r"missing tensors: distill_head\.adapters\.1\.router_img\.weight"):
        load(LoadSpec(copy))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_bad_number_among_many_is_found(tmp_path: Path, dtype: torch.dtype, value: float) -> None:
    extremes = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min, torch.finfo(dtype).tiny, 0.0], dtype=dtype)
    sound = {"a": extremes, "b": torch.randn(700, 1000).to(dtype), "empty": torch.ones(0, 3, dtype=dtype)}
    save_file(sound, tmp_path / "x.safetensors")
    assert read_weights([tmp_path / "x.safetensors"])[0].broken == ()
    sound["b"][699, 999] = value
    save_file(sound, tmp_path / "y.safetensors")
    assert read_weights([tmp_path / "y.safetensors"])[0].broken == ("b",)
