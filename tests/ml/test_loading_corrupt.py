"""Two hundred broken checkpoints and more: each refused by one kind of error, whose sentence names file and reason."""

import random
import re
import shutil
from pathlib import Path

import pytest

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.loading import LoadSpec, load
from tests.ml.adapters import make_adapter
from tests.ml.corruptions import KINDS
from tests.ml.random_checkpoint import make_checkpoint, make_shards

SEEDS = 3


@pytest.fixture(scope="module")
def sound(base_with_branch: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model/` in two shards with a side branch, `adapter/` trained on it."""
    folder = tmp_path_factory.mktemp("sound")
    make_checkpoint(folder / "model")
    make_shards(folder / "model", 2)
    for name in ("skin_branch.safetensors", "skin_branch.json"):
        shutil.copyfile(base_with_branch / name, folder / "model" / name)
    make_adapter(folder / "adapter", folder / "model", with_branch=False)
    return folder


def test_what_is_broken_below_loads_while_it_is_sound(sound: Path) -> None:
    loaded = load(LoadSpec(sound / "model", sound / "adapter"))
    assert loaded.identity.branch_present and loaded.identity.adapter_sha256


def test_there_are_two_hundred_of_them() -> None:
    assert len(KINDS) * SEEDS >= 200


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_checkpoint_is_refused_by_file_and_reason(sound: Path, tmp_path: Path, kind: str, seed: int) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "broken"))
    file, reason = KINDS[kind](folder, random.Random(f"{kind}/{seed}"))
    with pytest.raises(CheckpointError) as caught:
        load(LoadSpec(folder / "model", folder / "adapter"))
    assert type(caught.value) is CheckpointError
    sentence = str(caught.value)
    assert re.search(file, sentence) and re.search(reason, sentence), sentence
    assert "\n" not in sentence
