"""Kept hidden states: equal to the backbone's, one forward pass per new case, the same training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from modelhub.ml import hidden_cache
from modelhub.ml.hidden_cache import CacheRefused, HiddenCache
from modelhub.ml.hidden_shard import one_frame
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import TrainingError, prepare_model, train
from modelhub.ml.train_batches import collate
from modelhub.ml.train_data import TrainRecord, read_records
from modelhub.ml.train_settings import TrainSettings
from tests.ml.hidden_caches import Passes, cache_of, quiet
from tests.ml.random_checkpoint import make_dataset, make_image
from tests.ml.trainings import events, losses, quick


@pytest.fixture
def loaded(base: Path) -> LoadedModel:
    return load(LoadSpec(base))


@pytest.fixture
def records(dataset: Path) -> list[TrainRecord]:
    return read_records(dataset)


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


def test_memory_holds_the_batch_at_hand_only(loaded: LoadedModel, records: list[TrainRecord], tmp_path: Path) -> None:
    cache = cache_of(loaded, tmp_path)
    cache.fill(records, quiet)
    kept = [value for value in vars(cache).values() if isinstance(value, (dict, list, set))]
    assert not any(isinstance(item, torch.Tensor | dict) for value in kept for item in value)
    assert not cache.encoder._kept


def test_settings_of_the_cache_are_no_settings_of_the_run() -> None:
    assert "cache" not in TrainSettings().to_dict()
