"""The tiny teacher: shipped, small, made of other drawings, and its features tell lesions apart."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from modelhub.ml import tiny, tiny_teacher
from modelhub.ml.checkpoint_files import hash_weights
from modelhub.ml.teacher_encoder import load_encoder
from modelhub.ml.tiny_data import draw_set

SHIPPED = Path(tiny_teacher.__file__).parent / "weights" / "tiny-teacher"


def test_the_shipped_teacher_reads_fresh_drawings() -> None:
    """Linear readings of pictures that it was not trained on; with the pictures shuffled nothing is left."""
    known = draw_set(count=120, seed=501, tones=tiny_teacher.EVEN_TONES)
    fresh = draw_set(count=60, seed=502, tones=tiny_teacher.EVEN_TONES)
    right = tiny_teacher.linear_readings(SHIPPED, known, fresh)["all"]
    assert right["n"] == 60
    assert right["skin_tone"] >= 0.95
    assert right["colour"] >= 0.9
    assert right["diagnosis"] >= 0.5
    order = np.random.default_rng(0).permutation(60)
    shuffled = type(fresh)(fresh.pixels[order], fresh.lesions)
    lost = tiny_teacher.linear_readings(SHIPPED, known, shuffled)["all"]
    assert lost["skin_tone"] < 0.6
    assert lost["colour"] < 0.6


def test_the_shipped_folder() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < tiny_teacher.SIZE_LIMIT
    encoder = load_encoder(SHIPPED)
    facts = json.loads((SHIPPED / "training.json").read_text())
    assert encoder.pooling == "pooler"
    assert encoder.model.config.hidden_size == facts["width"]
    assert sum(p.numel() for p in encoder.model.parameters()) == facts["parameters"]
    assert {facts["seed"], facts["held_out_seed"]}.isdisjoint({tiny.SEED, tiny.SEED + 1})
    assert tiny_teacher.card(facts) == (SHIPPED / "README.md").read_text()


def test_the_same_seed_gives_the_same_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_teacher, "STEPS", 2)
    threads = torch.get_num_threads()
    command = ["--teacher", "--drawings", "18", "--held-out", "6", "--cache", str(tmp_path / "drawn")]
    try:
        for name in ("first", "second"):
            assert tiny.main([*command, "--out", str(tmp_path / name)]) == 0
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    hashes = [hash_weights(folder) for folder in (tmp_path / "first", tmp_path / "second", SHIPPED)]
    assert hashes[0] == hashes[1] != hashes[2]
