"""`kill -9` at random moments of reading cases and of training: it goes on, ends at the same weights, and computes
nothing again. Three moments per recipe here; `DERMCOT_KILLS=10` for more."""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelhub.ml.train import train
from tests.ml.killed_trainer import PASSES
from tests.ml.random_checkpoint import make_dataset, make_image
from tests.ml.trainings import events, losses, quick

KILLS = int(os.environ.get("DERMCOT_KILLS", "3"))
CASES = 10


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of as many cases as records."""
    folder = make_dataset(tmp_path_factory.mktemp("data") / "set", CASES)
    for i in range(CASES):
        make_image(folder / "images" / f"{i}.png", seed=i)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dual_distillation", "both"])
def test_killed_at_random_moments_it_ends_at_the_same_bytes(
    recipe: str, base: Path, different: Path, tmp_path: Path
) -> None:
    settings = quick(recipe=recipe, epochs=5 + 2 * KILLS, checkpoint_every_steps=2)
    (tmp_path / "settings.json").write_text(json.dumps(settings.to_dict()))
    command = [sys.executable, "-m", "tests.ml.killed_trainer", base, different, tmp_path, tmp_path / "settings.json"]
    seed = int.from_bytes(os.urandom(4))
    done = subprocess.run(
        [*map(str, command), str(KILLS), str(seed)], capture_output=True, text=True, check=False, timeout=300 * KILLS
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ends"] == [0, *[-9] * KILLS, 0], f"seed {seed}: {told}, {done.stderr}"

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert losses(killed, "total") == losses(whole, "total")
    assert [event["step"] for event in events(killed, "step")] == list(range(1, len(losses(whole)) + 1))
    names = {path.name for path in (whole / "adapter").glob("*.safetensors")}
    assert names
    for name in names:
        assert (killed / "adapter" / name).read_bytes() == (whole / "adapter" / name).read_bytes(), f"seed {seed}"
    if recipe == "dual_distillation":
        check_passes(tmp_path, seed)
    finished = train(base=base, data=different, out=killed, settings=settings)  # finished: nothing is done again
    assert finished.steps == len(losses(whole))


def check_passes(folder: Path, seed: int) -> None:
    """What was kept was never begun again; only the case that a kill fell into was."""
    kept: collections.Counter[str] = collections.Counter()
    begun = 0
    for line in (folder / PASSES).read_text().splitlines():
        word, key = line.split()
        if word == "begun":
            assert not kept[key], f"{key} was computed again, seed {seed}"
            begun += 1
        else:
            kept[key] += 1
    assert len(kept) >= CASES - KILLS and begun <= CASES + KILLS
    shards = {path.name: path.read_bytes() for path in (folder / "whole" / "hidden").glob("*/*.safetensors")}
    assert len(shards) == CASES
    assert {p.name: p.read_bytes() for p in (folder / "killed" / "hidden").glob("*/*.safetensors")} == shards
