"""Loading: both key styles, shards, a branch, ties, manifests, links, and what the identity says of it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modelhub.ml.checkpoint import read_contents
from modelhub.ml.checkpoint_files import CheckpointError, hash_file, hash_weights
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.manifest import RELEASED, is_released
from modelhub.ml.tensor_names import IN_PROJ, to_current_name, to_released_name
from tests.ml.random_checkpoint import make_checkpoint
from tests.ml.rewriting import read, rewrite


@pytest.fixture
def copy(base_with_branch: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base_with_branch, tmp_path / "copy"))


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


def test_names_go_there_and_back() -> None:
    for old, new in (
        ("visual.blocks.0.norm1.weight", "model.visual.blocks.0.norm1.weight"),
        ("model.layers.0.mlp.up_proj.weight", "model.language_model.layers.0.mlp.up_proj.weight"),
        ("lm_head.weight", "lm_head.weight"),
        (IN_PROJ, IN_PROJ),
    ):
        assert (to_current_name(old), to_current_name(new)) == (new, new)
        assert (to_released_name(new), to_released_name(old)) == (old, old)


@pytest.mark.parametrize("with_head", [True, False])
def test_tied_embeddings_load_with_and_without_a_head(tmp_path: Path, with_head: bool) -> None:
    folder = make_checkpoint(tmp_path / "tied", tied=True)
    embedding = read(folder / "model.safetensors")["model.embed_tokens.weight"]
    if with_head:
        rewrite(folder / "model.safetensors", lambda s: s.update({"lm_head.weight": embedding.clone()}))
    qwen = load(LoadSpec(folder)).model.qwen
    assert qwen.lm_head.weight.data_ptr() == qwen.get_input_embeddings().weight.data_ptr()
    assert torch.equal(qwen.lm_head.weight, embedding)


def test_a_manifest_is_found_beside_or_given(copy: Path, tmp_path: Path) -> None:
    names = ("model.safetensors", "skin_branch.safetensors", "config.json")
    lines = "".join(f"{hash_file(copy / name)}  {name}\n" for name in names)
    elsewhere = tmp_path / "sums.txt"
    elsewhere.write_text(f"# as `sha256sum` writes it\n{lines.upper().replace('MODEL', 'model')}".replace("  ", " *"))
    assert read_contents(copy).manifest is None
    with pytest.raises(CheckpointError, match=r"sums\.txt does not fit"):
        load(LoadSpec(copy, manifest=elsewhere))  # upper-case names are other files
    elsewhere.write_text(lines.replace("  ", " *./"))
    assert load(LoadSpec(copy, manifest=elsewhere)).identity.branch_present
    (copy / "model.sha256").write_text(lines)
    assert read_contents(copy).manifest == copy / "model.sha256"
    (copy / "SHA256SUMS").write_text(lines.replace(lines[:4], "0000"))
    with pytest.raises(CheckpointError, match=r"SHA256SUMS does not fit: model\.safetensors has SHA-256 "):
        load(LoadSpec(copy))


def test_the_released_shards_are_known_by_their_hashes() -> None:
    assert is_released(dict(zip("abcd", RELEASED, strict=True)))
    assert not is_released(dict(zip("abc", RELEASED[:3], strict=True)))
    assert not is_released(dict(zip("abcde", (*RELEASED, "0" * 64), strict=True)))


def test_links_within_the_hub_cache_are_files(base: Path, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "models--a--b/snapshots" / ("c" * 40), tmp_path / "models--a--b/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in base.iterdir():
        blob = blobs / hash_file(path)
        shutil.copyfile(path, blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob.name}")
    assert load(LoadSpec(snapshot)).identity.weights_sha256 == hash_file(base / "model.safetensors")
    wrong = blobs / ("0" * 64)
    shutil.move(blobs / hash_file(base / "model.safetensors"), wrong)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(f"../../blobs/{wrong.name}")
    with pytest.raises(CheckpointError, match="the hub says 0000"):
        load(LoadSpec(snapshot))


def test_a_loaded_model_is_no_window_on_its_file(copy: Path) -> None:
    model = load(LoadSpec(copy)).model
    before = model.qwen.lm_head.weight.clone()
    file = copy / "model.safetensors"
    raw = file.read_bytes()
    with file.open("r+b") as stream:
        stream.seek(len(raw) // 2)
        stream.write(bytes(len(raw) - len(raw) // 2))
    assert torch.equal(model.qwen.lm_head.weight, before)


def test_reading_reports_its_progress_and_can_be_ended(copy: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int) -> None:
        raise Enough

    seen: list[int] = []
    assert read_contents(copy, on_bytes=seen.append).sha256 == hash_weights(copy)
    assert seen[-1] > 100_000
    with pytest.raises(Enough):
        read_contents(copy, on_bytes=stop)


def test_bfloat16_keeps_the_branch_in_float32(base_with_branch: Path) -> None:
    model = load(LoadSpec(base_with_branch, precision="bfloat16")).model
    assert model.qwen.lm_head.weight.dtype == torch.bfloat16
    assert {p.dtype for p in model.branch.parameters()} == {torch.float32}  # type: ignore[union-attr]
