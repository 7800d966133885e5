"""Every tensor accounted for: what is missing, extra, broken or of another model is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modelhub.ml.checkpoint_files import CheckpointError, hash_file
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.tensor_names import IN_PROJ, to_current_name


@pytest.fixture
def copy(base_with_branch: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base_with_branch, tmp_path / "copy"))


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})


def test_identity_says_what_was_loaded(base_with_branch: Path, base: Path) -> None:
    identity = load(LoadSpec(base)).identity
    assert identity.weights_sha256 == hash_file(base / "model.safetensors")
    assert (identity.branch_present, identity.bias_mode, identity.notes) == (False, "off", [])
    identity = load(LoadSpec(base_with_branch)).identity
    assert (identity.branch_present, identity.bias_mode) == (True, "all_steps")


def test_both_key_styles_and_shards_load_the_same(base: Path, tmp_path: Path) -> None:
    old = load_file(base / "model.safetensors")
    assert any(key.startswith("model.layers.") for key in old)
    state = {to_current_name(key): value for key, value in old.items()}
    assert not any(key.startswith(("model.layers.", "visual.")) for key in state)
    folder = Path(shutil.copytree(base, tmp_path / "new"))
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    where = {key: f"model-{1 + (i > 20)}-of-2.safetensors" for i, key in enumerate(names)}
    for file in set(where.values()):
        save_file({key: state[key] for key in names if where[key] == file}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))

    ours, theirs = load(LoadSpec(folder)).model.qwen.state_dict(), load(LoadSpec(base)).model.qwen.state_dict()

    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_the_flat_config_of_the_release_is_read(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "flat"))
    raw = json.loads((folder / "config.json").read_text())
    text = raw.pop("text_config")
    rope = text.pop("rope_parameters")
    text.pop("model_type", None)
    text.pop("layer_types", None)
    flat = (
        text
        | raw
        | {
            "architectures": ["SkinVLModelWithAdapter"],
            "rope_theta": rope["rope_theta"],
            "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        }
    )
    (folder / "config.json").write_text(json.dumps(flat))
    ours, theirs = load(LoadSpec(folder)).model.qwen, load(LoadSpec(base)).model.qwen
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        assert torch.equal(ours(ids).logits, theirs(ids).logits)


def test_a_branch_inside_the_shards_loads(copy: Path) -> None:
    branch = load_file(copy / "skin_branch.safetensors")
    (copy / "skin_branch.safetensors").unlink()
    rewrite(copy / "model.safetensors", lambda state: state.update(branch))
    loaded = load(LoadSpec(copy))
    assert loaded.identity.branch_present
    assert all(torch.equal(value, loaded.model.branch.state_dict()[key]) for key, value in branch.items())  # type: ignore[union-attr]


def test_without_in_proj_the_branch_is_off_and_says_so(copy: Path) -> None:
    rewrite(copy / "skin_branch.safetensors", lambda state: state.pop("distill_head.in_proj.weight"))
    identity = load(LoadSpec(copy)).identity
    assert (identity.branch_present, identity.bias_mode) == (False, "off")
    assert "branch off: distill_head.in_proj.weight is missing" in identity.notes[0]
    with pytest.raises(CheckpointError, match="needs a complete side branch"):
        load(LoadSpec(copy, bias_mode="all_steps"))


def drop(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(next(key for key in sorted(state) if key.endswith(name)))


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


def test_nonsense_specs_are_refused(base: Path) -> None:
    for bad in ({"precision": "int3"}, {"attention": "none"}, {"bias_mode": "sometimes"}):
        with pytest.raises(ValueError):
            LoadSpec(base, **bad)
    with pytest.raises(CheckpointError, match="not a folder"):
        load(LoadSpec(base / "nowhere"))


def test_bfloat16_keeps_the_branch_in_float32(base_with_branch: Path) -> None:
    model = load(LoadSpec(base_with_branch, precision="bfloat16")).model
    assert model.qwen.lm_head.weight.dtype == torch.bfloat16
    assert {p.dtype for p in model.branch.parameters()} == {torch.float32}  # type: ignore[union-attr]
