"""What the trainer refuses, by name: other runs' folders, bad records and settings, and anything that is no number."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.hidden_cache import CacheRefused
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import TrainingError, make_plan, prepare_model, train
from modelhub.ml.train_batches import Encoder
from modelhub.ml.train_data import DatasetError, read_records
from modelhub.ml.train_loop import TrainLoop
from modelhub.ml.train_settings import TrainSettings
from tests.ml.random_checkpoint import make_dataset
from tests.ml.trainings import quick


def test_an_adapter_of_another_base_is_refused(
    base: Path, base_with_branch: Path, dataset: Path, tmp_path: Path
) -> None:
    result = train(base=base, data=dataset, out=tmp_path, settings=quick(epochs=1))
    with pytest.raises(CheckpointError, match="trained on a base with SHA-256"):
        load(LoadSpec(base_with_branch, result.adapter))


def test_an_incomplete_adapter_is_refused_by_name(base: Path, dataset: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    result = train(base=base, data=dataset, out=tmp_path, settings=quick(epochs=1))
    file = result.adapter / "adapter_model.safetensors"
    state = load_file(file)
    lost = sorted(state)[0]
    save_file({key: value for key, value in state.items() if key != lost}, file)
    with pytest.raises(CheckpointError, match=lost.replace(".", r"\.")):
        load(LoadSpec(base, result.adapter))


def test_a_folder_of_another_run_is_refused(base: Path, dataset: Path, tmp_path: Path) -> None:
    train(base=base, data=dataset, out=tmp_path, settings=quick(epochs=1))
    with pytest.raises(TrainingError, match="settings differ"):
        train(base=base, data=dataset, out=tmp_path, settings=quick(epochs=2))


@pytest.mark.parametrize("recipe", ["lora", "dual_distillation"])
def test_a_backbone_that_gives_no_numbers_is_never_a_candidate(
    recipe: str, base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_broken(*args: Any, **kwargs: Any) -> LoadedModel:
        loaded = load(*args, **kwargs)
        with torch.no_grad():
            loaded.model.qwen.model.language_model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
        return loaded

    monkeypatch.setattr("modelhub.ml.train.load", load_broken)
    with pytest.raises((TrainingError, CacheRefused), match=r"not a number at step 1|line 1: .* not numbers"):
        train(base=base, data=dataset, out=tmp_path, settings=quick(recipe=recipe))
    assert not (tmp_path / "adapter").exists() and not list(tmp_path.glob("hidden/*/*"))


def test_a_teacher_that_is_no_number_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    features = np.ones(10, dtype=np.float32)
    features[3] = np.nan
    np.save(data / "images" / "2.png.npy", features)
    with pytest.raises(DatasetError, match=r"2\.png\.npy must hold 10 finite numbers"):
        train(base=base, data=data, out=tmp_path / "out", settings=quick(recipe="dual_distillation"))
    assert not (tmp_path / "out" / "adapter").exists()


def test_weights_that_the_last_step_broke_are_never_a_candidate(base: Path, dataset: Path, tmp_path: Path) -> None:
    loaded = load(LoadSpec(base), merge_adapter=False)
    settings = quick(recipe="both", epochs=1)
    prepare_model(loaded, settings)
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    loop = TrainLoop(loaded.model, make_plan(loaded.model, read_records(dataset), encoder, settings), tmp_path, None)

    def spoil(*_: Any, **__: Any) -> None:
        with torch.no_grad():
            next(iter(loop.trainable.values())).fill_(float("inf"))

    loop.optimizer.register_step_post_hook(spoil)
    with pytest.raises(TrainingError, match=r"not a number"):
        loop.to_the_end(lambda _progress: encoder)


def test_a_loss_that_is_no_number_stops_at_once(base: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a number at step"):
        train(
            base=base, data=dataset, out=tmp_path, settings=quick(lr=0.99, max_grad_norm=1e30, alpha=10**9, epochs=20)
        )
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": ["images/none.png"]}, "line 1: image images/none.png does not exist"),
        ({"images": ["../../etc/passwd"]}, "lies outside"),
        ({"images": []}, "1 <image> marks for 0 images"),
        ({"skin_labels": 7}, "skin_labels must be"),
        ({"messages": [{"role": "user", "content": "<image>x"}]}, "end with the assistant"),
        ({"messages": None}, "line 1"),
    ],
)
def test_bad_records_are_named(change: dict[str, object], message: str, dataset: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(dataset, tmp_path / "set"))
    lines = (folder / "train.jsonl").read_text().splitlines()
    (folder / "train.jsonl").write_text(json.dumps(json.loads(lines[0]) | change) + "\n")
    with pytest.raises(DatasetError, match=message):
        read_records(folder)


def test_a_record_longer_than_max_length_is_refused(base: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="tokens, max_length is 20"):
        train(base=base, data=dataset, out=tmp_path, settings=quick(max_length=20))


@pytest.mark.parametrize('bad', [
    {'recipe': 'full'}, {'lr': 5}, {'lr': -1e-4}, {'epochs': 0}, {'batch': 2.5}, {'rank': True}, {'warmup': 1.5},
    {'precision': 'int8'}, {'weights': {'other': 1}}, {'weights': {'skin': -1}}, {'learning_rate': 1e-4},
])  # fmt: skip
def test_nonsense_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        TrainSettings.from_dict(bad)
