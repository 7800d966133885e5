"""Kept hidden states on disk: mended when damaged, trimmed, small, and nothing half-written."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from modelhub.ml.hidden_shard import one_frame, pack_patches, read_shard, trim, unpack_patches
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.train import train
from modelhub.ml.train_batches import Encoder
from modelhub.ml.train_data import TrainRecord, read_records
from tests.ml.hidden_caches import cache_of, quiet
from tests.ml.trainings import events, quick


@pytest.fixture
def loaded(base: Path) -> LoadedModel:
    return load(LoadSpec(base))


@pytest.fixture
def records(dataset: Path) -> list[TrainRecord]:
    return read_records(dataset)


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
