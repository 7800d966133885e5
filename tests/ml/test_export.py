"""The released layout: names, shapes and bytes, with and without an adapter folded in."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import Tensor

from modelhub.ml.branch import SkinBranch, SkinBranchConfig
from modelhub.ml.branch_files import branch_shapes
from modelhub.ml.checkpoint import read_contents
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.export_checkpoint import export
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.model_config import read_config
from tests.ml.adapters import make_adapter
from tests.ml.random_checkpoint import make_checkpoint, make_llava

LAYERS, EXPERTS = range(4), range(8)
PUBLISHED = {
    "distill_head.in_proj.weight": (1024, 1176),
    "distill_head.skin_classifier.0.weight": (64, 1024),
    "distill_head.skin_classifier.0.bias": (64,),
    "distill_head.skin_classifier.2.weight": (3, 64),
    "distill_head.skin_classifier.2.bias": (3,),
    "text_bias.0.weight": (64, 1024),
    "text_bias.2.weight": (3584, 64),
    "logit_bias_scale": (),
} | {
    f"distill_head.adapters.{layer}.{name}": shape
    for layer in LAYERS
    for name, shape in (
        ("router_img.weight", (8, 1024)),
        ("router_skin.weight", (8, 3)),
        *((f"experts.{e}.net.0.weight", (64, 1024)) for e in EXPERTS),
        *((f"experts.{e}.net.0.bias", (64,)) for e in EXPERTS),
        *((f"experts.{e}.net.2.weight", (1024, 64)) for e in EXPERTS),
        *((f"experts.{e}.net.2.bias", (1024,)) for e in EXPERTS),
    )
}


def tensors_of(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_bytes(path.read_bytes())
    return tensors


@pytest.fixture(scope="module")
def bfloat16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base as released: bfloat16, untied, with a branch of the published sizes on a small backbone."""
    folder = make_checkpoint(tmp_path_factory.mktemp("released"), dtype=torch.bfloat16)
    torch.manual_seed(5)
    branch = SkinBranch(SkinBranchConfig(hidden=32))
    torch.nn.init.normal_(branch.text_bias[2].weight)
    save_file({k: v.to(torch.bfloat16) for k, v in branch.state_dict().items()}, folder / "skin_branch.safetensors")
    return folder


def test_the_branch_has_the_published_names_and_shapes() -> None:
    assert len(PUBLISHED) == 144
    assert sum(torch.Size(shape).numel() for shape in PUBLISHED.values()) == 5_826_916
    assert branch_shapes(SkinBranchConfig(hidden=3584)) == PUBLISHED


def test_the_layout_is_the_released_one(bfloat16: Path, tmp_path: Path) -> None:
    made = export(bfloat16, tmp_path / "out", shard_bytes=4_000_000)
    written, before = tensors_of(made.folder), tensors_of(bfloat16)
    assert {value.dtype for value in written.values()} == {torch.bfloat16}
    assert len(written) == made.tensors == len(before)
    small = {key: tuple(32 if size == 3584 else size for size in shape) for key, shape in PUBLISHED.items()}
    assert {key: tuple(written[key].shape) for key in small} == small
    backbone = set(written) - set(small)
    assert all(re.match(r"(visual|model\.(layers|embed_tokens|norm)|lm_head)\.", key) for key in backbone)
    assert torch.equal(written["lm_head.weight"].view(torch.int16), before["lm_head.weight"].view(torch.int16))
    index = json.loads((made.folder / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1 and set(index["weight_map"]) == set(written)
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in written.values())
    config = json.loads((made.folder / "config.json").read_text())
    assert config["architectures"] == ["SkinVLModelWithAdapter"] and config["torch_dtype"] == "bfloat16"
    assert (config["hidden_size"], config["rope_scaling"]["mrope_section"]) == (32, [2, 1, 1])
    assert "text_config" not in config


def test_it_loads_again_as_the_same_model(bfloat16: Path, tmp_path: Path) -> None:
    folder = export(bfloat16, tmp_path / "out", shard_bytes=4_000_000).folder
    ours, theirs = load(LoadSpec(folder)), load(LoadSpec(bfloat16))
    assert ours.identity.branch_present and ours.identity.parameters == theirs.identity.parameters
    for key, value in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[key], value), key
    parsed = [read_config(place).parsed.text_config.to_dict() for place in (folder, bfloat16)]
    for text in parsed:
        for name in ("dtype", "tie_word_embeddings"):
            text.pop(name, None)
        text["rope_parameters"].pop("type", None)  # the release's word for it
    assert parsed[0] == parsed[1]
    assert read_contents(folder).manifest == folder / "SHA256SUMS"


def test_a_round_trip_is_equal_byte_for_byte(bfloat16: Path, tmp_path: Path) -> None:
    first = export(bfloat16, tmp_path / "first", shard_bytes=4_000_000)
    second = export(first.folder, tmp_path / "second", shard_bytes=4_000_000)
    origin = "export.json"  # names the base's hash
    assert {n: h for n, h in first.files.items() if n != origin} == {
        n: h for n, h in second.files.items() if n != origin
    }


@pytest.mark.parametrize("with_branch", [False, True])
def test_an_adapter_is_folded_in(base: Path, tmp_path: Path, with_branch: bool) -> None:
    adapter = make_adapter(tmp_path / "adapter", base, with_branch=with_branch)
    made = export(base, tmp_path / "out", adapter)
    assert made.merged == 4
    folded = load(LoadSpec(base, adapter)).model
    exported = load(LoadSpec(made.folder))
    assert exported.identity.branch_present is with_branch
    plain = load(LoadSpec(base)).model.qwen.state_dict()
    changed = 0
    for key, value in folded.qwen.state_dict().items():
        found = exported.model.qwen.state_dict()[key]
        assert torch.equal(found, value.to(torch.bfloat16).float()), key
        changed += not torch.equal(value, plain[key])
    assert changed == made.merged
    if with_branch:
        assert exported.identity.bias_mode == "first_token"  # recorded beside the shards
    recorded = json.loads((made.folder / "export.json").read_text())
    assert recorded["adapter_sha256"] and recorded["base_sha256"] == read_contents(base).sha256


def test_a_tied_head_stays_tied(tmp_path: Path) -> None:
    base = make_checkpoint(tmp_path / "tied", tied=True)
    made = export(base, tmp_path / "out")
    assert "lm_head.weight" not in tensors_of(made.folder)
    qwen = load(LoadSpec(made.folder)).model.qwen
    assert qwen.lm_head.weight.data_ptr() == qwen.get_input_embeddings().weight.data_ptr()


def test_nothing_half_written_is_left(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        export(base, tmp_path / "there")

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("modelhub.ml.export_checkpoint.save_file", fail)
        export(base, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert export(base, tmp_path / "out").folder.is_dir()


def test_what_has_no_released_layout_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a comparison model"):
        export(make_llava(tmp_path / "llava"), tmp_path / "out")
    adapter = make_adapter(tmp_path / "adapter", base, with_branch=False)
    shutil.copyfile(make_checkpoint(tmp_path / "other", seed=9) / "model.safetensors", tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="trained on a base with SHA-256"):
        export(tmp_path / "other", tmp_path / "out", adapter)
