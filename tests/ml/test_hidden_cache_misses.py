"""Kept hidden states are missed by any change: of the case, the checkpoint, its precision or a library."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from modelhub.ml import hidden_cache
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import train
from modelhub.ml.train_data import TrainRecord, read_records
from tests.ml.hidden_caches import cache_of
from tests.ml.random_checkpoint import make_checkpoint
from tests.ml.trainings import quick


@pytest.fixture
def loaded(base: Path) -> LoadedModel:
    return load(LoadSpec(base))


@pytest.fixture
def records(dataset: Path) -> list[TrainRecord]:
    return read_records(dataset)


def change_answer(folder: Path) -> None:
    path = folder / "train.jsonl"
    path.write_text(path.read_text().replace("round.", "round!", 1))


def change_prompt(folder: Path) -> None:
    path = folder / "train.jsonl"
    path.write_text(path.read_text().replace("Describe.", "Describe!", 1))


def change_picture(folder: Path) -> None:
    content = bytearray((folder / "images" / "0.png").read_bytes())
    (folder / "images" / "0.png").write_bytes(content + b"\0")  # the picture is the same, the bytes are not


@pytest.mark.parametrize("change", [change_answer, change_prompt, change_picture])
def test_any_change_of_the_case_misses(
    change: Callable[[Path], None], loaded: LoadedModel, dataset: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(dataset, tmp_path / "set"))
    cache = cache_of(loaded, tmp_path / "cache")
    before = [cache.key(record) for record in read_records(folder)]
    change(folder)
    after = [cache_of(loaded, tmp_path / "cache").key(record) for record in read_records(folder)]
    assert before[0] != after[0] and before[1:] == after[1:]


def edit_json(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return edit


def change_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layers.1.mlp.down_proj.weight"))
    tensors[name][0, 0] += 1e-6
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def change_template(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text() + " ")


def swap_letters(content: dict[str, Any]) -> None:
    letters = content["model"]["vocab"]
    letters["q"], letters["z"] = letters["z"], letters["q"]


CHANGES: dict[str, Callable[[Path], None]] = {
    "weights": change_weight,
    "template": change_template,
    "tokenizer": edit_json("tokenizer.json", swap_letters),
    "bounds": edit_json("preprocessor_config.json", lambda c: c["size"].update(longest_edge=224 * 224)),
    "mean": edit_json("preprocessor_config.json", lambda c: c.update(image_mean=[0.5, 0.5, 0.5])),
    "config": edit_json("config.json", lambda c: c["text_config"]["rope_parameters"].update(rope_theta=20000.0)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_of_the_checkpoint_misses(what: str, records: list[TrainRecord], tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "base")
    before = cache_of(load(LoadSpec(folder)), tmp_path / "cache").key(records[0])
    assert cache_of(load(LoadSpec(folder)), tmp_path / "cache").key(records[0]) == before
    CHANGES[what](folder)
    assert cache_of(load(LoadSpec(folder)), tmp_path / "cache").key(records[0]) != before


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"attention": "eager"}])
def test_precision_and_attention_miss(
    changes: dict[str, Any], base: Path, loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path
) -> None:
    before = cache_of(loaded, tmp_path).key(records[0])
    assert cache_of(load(LoadSpec(base, **changes)), tmp_path).key(records[0]) != before


@pytest.mark.parametrize("library", hidden_cache.LIBRARIES)
def test_another_version_of_a_library_misses(
    library: str, loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache_of(loaded, tmp_path).key(records[0])
    version = hidden_cache.importlib.metadata.version
    monkeypatch.setattr(
        hidden_cache.importlib.metadata, "version", lambda name: "99" if name == library else version(name)
    )
    assert cache_of(loaded, tmp_path).key(records[0]) != before


def test_an_adapter_in_the_backbone_misses_and_a_branch_beside_it_does_not(
    base: Path, dataset: Path, records: list[TrainRecord], tmp_path: Path
) -> None:
    plain = cache_of(load(LoadSpec(base)), tmp_path / "cache").key(records[0])
    keys = {}
    for recipe in ("lora", "dual_distillation"):
        result = train(base=base, data=dataset, out=tmp_path / recipe, settings=quick(recipe=recipe, epochs=1))
        keys[recipe] = cache_of(load(LoadSpec(base, result.adapter)), tmp_path / "cache").key(records[0])
    assert keys["dual_distillation"] == plain != keys["lora"]
