"""Teacher features: any encoder, each image once, nothing half, nothing guessed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    ConvNextConfig,
    ConvNextModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from modelhub.ml import teacher_encoder
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.hub_files import HubModel
from modelhub.ml.teacher_encoder import Encoder, load_encoder
from modelhub.ml.teacher_features import make_teacher_features
from modelhub.ml.train_data import TEACHER_MANIFEST, DatasetError, TrainRecord, read_records, read_teacher

SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
PICTURES = {"image_size": 32, "patch_size": 16}
COLOURS = ("red", "green", "blue", "white", "black")


def save_encoder(folder: Path, model: Any, **preprocessing: Any) -> Path:
    model.save_pretrained(folder)
    settings = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | preprocessing))
    return folder


def with_features(records: list[TrainRecord]) -> int:
    return sum(read_teacher(image, 32) is not None for record in records for image in record.images)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_encoder(tmp_path_factory.mktemp("vit"), ViTModel(ViTConfig(**SIZES, **PICTURES)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five pictures, one of them twice under two names."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for name in COLOURS:
        Image.new("RGB", (40, 30), name).save(folder / "images" / f"{name}.png")
    shutil.copy(folder / "images" / "red.png", folder / "images" / "again.png")
    write_records(folder, [*COLOURS, "again"])
    return folder


def write_records(folder: Path, names: list[str]) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": "<image>What is it?"},
                {"role": "assistant", "content": "<answer> Red. </answer>"},
            ],
            "images": [f"images/{name}.png"],
        }
        for name in names
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


class Counting:
    """An encoder that notes how many pictures it was given."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.identity, self.seen = encoder, encoder.identity, 0

    def encode(self, images: Any) -> torch.Tensor:
        self.seen += len(images)
        return self.encoder.encode(images)


def test_training_reads_what_is_written(data: Path, vit: Path) -> None:
    encoder = load_encoder(vit)
    report = make_teacher_features(data, encoder, batch=2)
    assert (report.images, report.computed, report.stored, report.missing, report.width) == (6, 5, 1, {}, 32)
    records = read_records(data)
    assert with_features(records) == 6
    for record in records:
        (image,) = record.images
        with Image.open(image) as picture:
            expected = encoder.encode([picture.convert("RGB")])[0]
        found = read_teacher(image, 32)
        assert found is not None
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    manifest = json.loads((data / TEACHER_MANIFEST).read_text())
    assert manifest["encoder_key"] == encoder.identity.key
    assert manifest["width"] == 32
    assert set(manifest["images"]) == {f"images/{name}.png" for name in (*COLOURS, "again")}


def test_only_what_is_new_is_computed(data: Path, vit: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = Counting(load_encoder(vit))
    make_teacher_features(data, first, store=store)
    assert first.seen == 5
    again = Counting(load_encoder(vit))
    assert make_teacher_features(data, again, store=store).computed == 0
    assert again.seen == 0
    Image.new("RGB", (40, 30), "yellow").save(data / "images" / "green.png")
    larger = tmp_path / "larger"
    shutil.copytree(data, larger)
    Image.new("RGB", (40, 30), "purple").save(larger / "images" / "purple.png")
    write_records(larger, [*COLOURS, "purple"])
    later = Counting(load_encoder(vit))
    report = make_teacher_features(larger, later, store=store)
    assert (later.seen, report.computed, report.stored) == (2, 2, 4)


@pytest.mark.parametrize("change", ["weights", "pooling", "preprocessing"])
def test_another_encoder_shares_nothing(data: Path, vit: Path, tmp_path: Path, change: str) -> None:
    make_teacher_features(data, load_encoder(vit))
    before = read_teacher(data / "images" / "red.png", 32)
    other = tmp_path / "other"
    shutil.copytree(vit, other)
    if change == "weights":
        torch.manual_seed(1)
        ViTModel(ViTConfig(**SIZES, **PICTURES)).save_pretrained(other)
    if change == "preprocessing":
        settings = json.loads((other / "preprocessor_config.json").read_text())
        (other / "preprocessor_config.json").write_text(json.dumps(settings | {"image_mean": [0.1, 0.2, 0.3]}))
    counting = Counting(load_encoder(other, pooling="mean" if change == "pooling" else "auto"))
    assert make_teacher_features(data, counting).computed == 5
    after = read_teacher(data / "images" / "red.png", 32)
    assert before is not None and after is not None and not torch.allclose(before, after)


def test_features_of_others_are_not_overwritten(data: Path, vit: Path) -> None:
    foreign = data / "images" / "blue.png.npy"
    np.save(foreign, np.ones(32, np.float32))
    with pytest.raises(DatasetError, match=r"blue\.png\.npy .*--replace"):
        make_teacher_features(data, load_encoder(vit))
    assert np.load(foreign).tolist() == [1.0] * 32
    assert not (data / "images" / "red.png.npy").exists()
    make_teacher_features(data, load_encoder(vit), replace=True)
    assert np.load(foreign).tolist() != [1.0] * 32


def test_an_unreadable_image_is_named_and_gets_no_features(data: Path, vit: Path) -> None:
    make_teacher_features(data, load_encoder(vit))
    broken = data / "images" / "green.png"
    broken.write_bytes(broken.read_bytes()[:60])
    report = make_teacher_features(data, load_encoder(vit))
    assert list(report.missing) == ["images/green.png"]
    assert "green.png" in report.missing["images/green.png"]
    assert read_teacher(broken, 32) is None
    assert with_features(read_records(data)) == 5


def test_a_broken_file_in_the_store_is_computed_again(data: Path, vit: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    make_teacher_features(data, load_encoder(vit), store=store)
    files = sorted(store.rglob("*.npy"))
    assert len(files) == 5
    files[0].write_bytes(files[0].read_bytes()[:-7])
    files[1].write_bytes(b"")
    assert make_teacher_features(data, load_encoder(vit), store=store).computed == 2


def test_not_a_number_stops_and_stores_nothing(data: Path, vit: Path) -> None:
    encoder = load_encoder(vit)
    next(encoder.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(ValueError, match="not a number"):
        make_teacher_features(data, encoder)
    assert not list(data.rglob("*.npy"))
    assert not (data / TEACHER_MANIFEST).exists()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(data: Path, vit: Path) -> None:
    """Killed as soon as the second vector is stored, then run again: nothing is computed twice."""
    command = [sys.executable, "-m", "modelhub.ml", "make-teacher-features", str(data), "--encoder", str(vit)]
    slow = "import time; from modelhub.ml import teacher_features as t; w = t.FeatureStore.write\n"
    slow += "def write(s, h, v): w(s, h, v); time.sleep(0.5)\n"
    slow += "t.FeatureStore.write = write; from modelhub.ml.__main__ import main; import sys; main(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", slow, *command[3:], "--batch", "1"], stderr=subprocess.DEVNULL) as run:
        while len(list((data / ".teacher_features").rglob("[0-9a-f]*.npy"))) < 2:
            assert run.poll() is None
        os.kill(run.pid, signal.SIGKILL)
    stored = len(list((data / ".teacher_features").rglob("[0-9a-f]*.npy")))
    assert 2 <= stored < 5
    counting = Counting(load_encoder(vit))
    make_teacher_features(data, counting)
    assert counting.seen == 5 - stored
    assert with_features(read_records(data)) == 6


def test_a_pooler_without_weights_is_not_used(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path, ViTForImageClassification(ViTConfig(**SIZES, **PICTURES)))
    assert load_encoder(folder).pooling == "cls"
    with pytest.raises(CheckpointError, match=r"lacks pooler\.dense.*possible: cls, mean"):
        load_encoder(folder, pooling="pooler")


def test_pooling_rules(vit: Path) -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    model = ViTModel.from_pretrained(vit).eval()
    encoders = {rule: load_encoder(vit, pooling=rule) for rule in ("auto", "pooler", "cls", "mean")}
    pixels = encoders["cls"].processor(images=[picture], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        output = model(pixels)
    expected = {
        "auto": output.pooler_output,
        "pooler": output.pooler_output,
        "cls": output.last_hidden_state[:, 0],
        "mean": output.last_hidden_state[:, 1:].mean(1),
    }
    for rule, encoder in encoders.items():
        torch.testing.assert_close(encoder.encode([picture]), expected[rule])


def test_a_convolutional_net_and_a_two_tower_model(tmp_path: Path) -> None:
    convolutional = ConvNextModel(ConvNextConfig(hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1]))
    folder = save_encoder(tmp_path / "convnext", convolutional)
    assert load_encoder(folder).encode([Image.new("RGB", (50, 50))]).shape == (1, 24)
    text = CLIPTextConfig(**SIZES, vocab_size=50, bos_token_id=1, eos_token_id=2)
    vision = CLIPVisionConfig(**SIZES, **PICTURES)
    both = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    folder = save_encoder(tmp_path / "clip", both)
    encoder = load_encoder(folder)
    assert encoder.encode([Image.new("RGB", (50, 50))]).shape == (1, 32)
    assert sum(p.numel() for p in encoder.model.parameters()) < sum(p.numel() for p in both.parameters())


def test_what_is_refused(vit: Path, tmp_path: Path) -> None:
    text = save_encoder(tmp_path / "bert", BertModel(BertConfig(**SIZES, vocab_size=50)))
    with pytest.raises(CheckpointError, match="does not take images"):
        load_encoder(text)
    foreign = tmp_path / "foreign"
    shutil.copytree(vit, foreign)
    config = json.loads((foreign / "config.json").read_text())
    (foreign / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Evil"}}))
    with pytest.raises(CheckpointError, match="auto_map"):
        load_encoder(foreign)
    pickled = tmp_path / "pickled"
    shutil.copytree(vit, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickles, which are never loaded"):
        load_encoder(pickled)
    cut = tmp_path / "cut"
    shutil.copytree(vit, cut)
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-5])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_encoder(cut)
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="pooling"):
        load_encoder(vit, pooling="max")


def test_an_encoder_on_the_hub_is_recorded_with_its_commit(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(teacher_encoder, "fetch", lambda model: asked.append(model) or (vit, "c" * 40))
    identity = load_encoder(HubModel("clinic/encoder", "v1")).identity
    assert (identity.name, identity.revision) == ("clinic/encoder", "c" * 40)
    assert asked == [HubModel("clinic/encoder", "v1")]
    assert identity.key == load_encoder(vit).identity.key


def test_an_encoder_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_encoder(tmp_path, ViTModel(ViTConfig(**SIZES, **PICTURES)))
    state = load_file(folder / "model.safetensors")
    gone = next(key for key in state if "layernorm_before" in key)
    save_file({key: value for key, value in state.items() if key != gone}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks tensors.*layernorm_before"):
        load_encoder(folder)


def test_the_command_says_what_it_did(data: Path, vit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from modelhub.ml.__main__ import main

    command = ["make-teacher-features", str(data), "--encoder", str(vit)]
    assert main(command) == 0
    assert (
        "6 of 6 images have features of width 32 (pooler): 5 computed now, 1 already known" in capsys.readouterr().out
    )
    (data / "images" / "white.png").write_bytes(b"no picture")
    assert main([*command, "--json"]) == 1
    caught = capsys.readouterr()
    found = json.loads(caught.out)
    assert (found["present"], found["computed"]) == (5, 0)
    assert "no features: white.png" in caught.err
    assert main(["make-teacher-features", str(data), "--encoder", str(data)]) == 1
    assert "config.json" in capsys.readouterr().err
