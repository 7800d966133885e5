"""Kept hidden states: equal to the backbone's, one forward pass per new case, missed by any change, mended when
damaged."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modelhub.ml import hidden_cache
from modelhub.ml.hidden_cache import CacheRefused, HiddenCache
from modelhub.ml.hidden_shard import one_frame, pack_patches, read_shard, trim, unpack_patches
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import TrainingError, prepare_model, train
from modelhub.ml.train_batches import Encoder, collate
from modelhub.ml.train_data import TrainRecord, read_records
from modelhub.ml.train_settings import TrainSettings
from tests.ml.random_checkpoint import make_checkpoint, make_dataset, make_image
from tests.ml.test_train import events, losses, quick


@pytest.fixture
def loaded(base: Path) -> LoadedModel:
    return load(LoadSpec(base))


@pytest.fixture
def records(dataset: Path) -> list[TrainRecord]:
    return read_records(dataset)


def cache_of(loaded: LoadedModel, folder: Path) -> HiddenCache:
    return HiddenCache(folder, loaded, Encoder(loaded.processor, loaded.tokenizer.eos_token_id))


def quiet(_done: int, _total: int) -> None:
    pass


class Passes:
    """Counts how often the backbone runs."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.count = 0
        loaded.model.qwen.model.register_forward_hook(self._seen)

    def _seen(self, *_: Any) -> None:
        self.count += 1


def test_kept_states_are_those_of_a_padded_batch(
    loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path
) -> None:
    cache = cache_of(loaded, tmp_path)
    for _ in range(2):  # computed, then read
        kept = collate(records, cache, None)
        fresh = collate(records, cache.encoder, None)
        with torch.no_grad():
            hidden = loaded.model.hidden_states(fresh)[fresh["scored"]]
        torch.testing.assert_close(kept["hidden"], hidden, atol=1e-5, rtol=1e-5)
        for name in ("targets", "answer_lengths", "images_per_row", "image_grid_thw", "skin_labels"):
            assert torch.equal(kept[name], fresh[name]), name
        assert torch.equal(kept["pixel_values"], one_frame(fresh["pixel_values"], 2))
        assert "input_ids" not in kept


def test_k_new_cases_cost_k_forward_passes(base: Path, tmp_path: Path) -> None:
    many = make_dataset(tmp_path / "many", count=8)
    lines = (many / "train.jsonl").read_text().splitlines()
    for i in range(8):  # eight different pictures
        make_image(many / "images" / f"{i}.png", seed=i)
    (many / "train.jsonl").write_text("\n".join(lines[:5]))
    loaded = load(LoadSpec(base))
    passes = Passes(loaded)
    report = cache_of(loaded, tmp_path / "cache").fill(read_records(many), quiet)
    assert (passes.count, report.cases, report.computed) == (5, 5, 5)

    (many / "train.jsonl").write_text("\n".join(lines))
    report = cache_of(loaded, tmp_path / "cache").fill(read_records(many), quiet)
    assert (passes.count, report.cases, report.computed) == (8, 8, 3)
    report = cache_of(loaded, tmp_path / "cache").fill(read_records(many)[::-1], quiet)
    assert (passes.count, report.computed, report.damaged) == (8, 0, 0)


def test_a_training_runs_the_backbone_once_per_case_whatever_the_epochs(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Passes] = []

    def load_counted(*args: Any, **kwargs: Any) -> LoadedModel:
        loaded = load(*args, **kwargs)
        passes.append(Passes(loaded))
        return loaded

    monkeypatch.setattr("modelhub.ml.train.load", load_counted)
    settings = quick(recipe="dual_distillation", epochs=6)
    result = train(base=base, data=dataset, out=tmp_path / "1", settings=settings, cache=tmp_path / "cache")
    different = len(list((tmp_path / "cache").glob("*/*.safetensors")))
    assert passes[0].count == different == 2  # the eight records are two cases, again and again
    assert json.loads((result.adapter / "provenance.json").read_text())["hidden_states"] == {
        "cases": 8,
        "computed": 2,
        "damaged": 0,
    }
    reading = events(tmp_path / "1", "reading")
    assert [e["done"] for e in reading] == list(range(1, 9)) and {e["total"] for e in reading} == {8}
    again = train(
        base=base,
        data=dataset,
        out=tmp_path / "2",
        settings=quick(recipe="dual_distillation", epochs=6, lr=2e-2),
        cache=tmp_path / "cache",
    )
    assert passes[1].count == 0
    assert json.loads((again.adapter / "provenance.json").read_text())["hidden_states"]["computed"] == 0


def test_kept_states_train_as_a_running_backbone_does(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(recipe="dual_distillation", epochs=8)
    train(base=base, data=dataset, out=tmp_path / "kept", settings=settings)
    monkeypatch.setattr(HiddenCache, "fill", lambda *_: hidden_cache.FillReport())
    monkeypatch.setattr(HiddenCache, "example", lambda self, record: self.encoder.example(record))
    train(base=base, data=dataset, out=tmp_path / "running", settings=settings)
    assert not list((tmp_path / "running" / "hidden").glob("*/*"))
    assert losses(tmp_path / "kept", "total") == pytest.approx(losses(tmp_path / "running", "total"), rel=1e-4)


@pytest.mark.parametrize("recipe", ["lora", "both"])
def test_a_backbone_that_trains_keeps_nothing(recipe: str, base: Path, dataset: Path, tmp_path: Path) -> None:
    settings = quick(recipe=recipe)
    with pytest.raises(TrainingError, match=f"the recipe {recipe} trains the backbone.*dual_distillation"):
        train(base=base, data=dataset, out=tmp_path / "out", settings=settings, cache=tmp_path / "cache")
    assert not (tmp_path / "out").exists()
    loaded = load(LoadSpec(base), merge_adapter=False)
    prepare_model(loaded, settings)
    with pytest.raises(CacheRefused, match="frozen backbone only, but 28 of its tensors train"):
        cache_of(loaded, tmp_path / "cache")


def test_dropout_keeps_nothing(loaded: LoadedModel, tmp_path: Path) -> None:
    loaded.model.train()
    with pytest.raises(CacheRefused, match="evaluation mode"):
        cache_of(loaded, tmp_path)


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


@pytest.mark.parametrize("where", ["data", "header", "length", "empty", "other"])
def test_a_damaged_shard_is_made_again_and_said(
    where: str, base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    whole = train(base=base, data=dataset, out=tmp_path / "1", settings=quick(recipe="dual_distillation"), cache=cache)
    first, second, *_ = sorted(cache.glob("*/*.safetensors"))
    kept = first.read_bytes()
    content = bytearray(kept)
    content[{"data": -5, "header": 20}.get(where, 0)] ^= 1
    damaged = {"length": kept[:-100], "empty": b"", "other": second.read_bytes()}.get(where, bytes(content))
    first.write_bytes(damaged)
    again = train(base=base, data=dataset, out=tmp_path / "2", settings=quick(recipe="dual_distillation"), cache=cache)
    assert first.read_bytes() == kept
    (notice,) = events(tmp_path / "2", "notice")
    assert notice["text"] == "Kept hidden states of 1 cases were damaged and made again."
    assert json.loads((again.adapter / "provenance.json").read_text())["hidden_states"]["computed"] == 1
    assert (again.adapter / "skin_branch.safetensors").read_bytes() == (
        whole.adapter / "skin_branch.safetensors"
    ).read_bytes()


def test_a_shard_that_vanishes_between_epochs_is_made_again(
    loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path
) -> None:
    cache = cache_of(loaded, tmp_path)
    cache.fill(records, quiet)
    before = cache.example(records[0])
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    assert torch.equal(cache.example(records[0])["hidden"], before["hidden"])


def test_memory_holds_the_batch_at_hand_only(loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path) -> None:
    cache = cache_of(loaded, tmp_path)
    cache.fill(records, quiet)
    kept = [value for value in vars(cache).values() if isinstance(value, (dict, list, set))]
    assert not any(isinstance(item, torch.Tensor | dict) for value in kept for item in value)
    assert not cache.encoder._kept


def test_a_disk_that_is_full_is_an_error_and_leaves_nothing(
    loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    cache = cache_of(loaded, tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.example(records[0])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_pictures_come_back_bit_by_bit_at_an_eighth_of_their_size(
    loaded: LoadedModel, records: list[TrainRecord]
) -> None:
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    pixels = encoder.example(records[0])["pixel_values"]
    frame = one_frame(pixels, 2)
    packed = pack_patches(frame)
    assert torch.equal(unpack_patches(dict(packed))["pixel_values"], frame)
    assert packed["patch_places"].nbytes * 8 == pixels.nbytes


def test_patches_of_another_kind_are_kept_as_they_are_and_moving_ones_refused() -> None:
    values = torch.randn(100, 12)
    packed = pack_patches(values)
    assert set(packed) == {"pixel_values"} and torch.equal(unpack_patches(packed)["pixel_values"], values)
    with pytest.raises(ValueError, match="only still pictures"):
        one_frame(torch.randn(6, 24), 2)


def test_trimming_drops_what_was_wanted_longest_ago(
    loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path
) -> None:
    cache = cache_of(loaded, tmp_path)
    cache.fill(records, quiet)
    paths = {record.line: tmp_path / cache.key(record)[:2] / f"{cache.key(record)}.safetensors" for record in records}
    distinct = sorted(set(paths.values()))
    for age, path in enumerate(distinct):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    draft = distinct[0].with_name(".old.draft")
    draft.write_bytes(b"half")
    os.utime(draft, (1_000_000, 1_000_000))
    wanted = next(record for record in records if paths[record.line] == distinct[-1])
    cache_of(loaded, tmp_path).example(wanted)  # so it is no longer the oldest
    size = distinct[0].stat().st_size
    total = sum(path.stat().st_size for path in distinct)
    freed = trim(tmp_path, total - size)
    gone = [path for path in distinct if not path.exists()]
    assert gone == [distinct[-2]] and freed >= size and not draft.exists()
    assert trim(tmp_path, total) == 0
    assert read_shard(distinct[-1], distinct[-1].stem, checked=False)["hidden"].shape[1] == 32


def test_settings_of_the_cache_are_no_settings_of_the_run() -> None:
    assert "cache" not in TrainSettings().to_dict()
