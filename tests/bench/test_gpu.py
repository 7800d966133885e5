"""The card's bench by its own code on the processor, and on a machine that has little installed."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch

from bench import gpu
from bench.budget import Budget, OutOfTime
from bench.gpu_generation import roofline_tokens
from bench.gpu_model import SEVEN_B, TINY_SHAPE, make_config, make_model

# what a machine with Python, torch, transformers and Pillow lacks
ABSENT = ("django", "celery", "peft", "accelerate", "torchvision", "rest_framework", "scipy", "skimage")
BARE = textwrap.dedent(f"""
    import importlib.metadata as metadata, sys
    absent = {ABSENT!r}
    for name in absent:
        sys.modules[name] = None
    found = metadata.Distribution.from_name.__func__
    def from_name(cls, name):
        if name.lower() in absent:
            raise metadata.PackageNotFoundError(name)
        return found(cls, name)
    metadata.Distribution.from_name = classmethod(from_name)
    from bench.gpu import main
    sys.exit(main(sys.argv[1:]))
""")


def last_line(output: str) -> dict:
    return json.loads(output.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.one_round
def test_both_halves_run_where_only_torch_and_transformers_are() -> None:
    command = [sys.executable, "-c", BARE, "--device", "cpu", "--shape", "tiny"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    found = last_line(run.stdout)
    assert found["complete"] is True
    generation, training = found["generation"], found["training"]
    expected = [(r * c, batch) for r, c in TINY_SHAPE.visual for batch in TINY_SHAPE.batches]
    assert [(row["visual_tokens"], row["batch"]) for row in generation["rows"]] == expected
    assert all(row["new_tokens"] == row["batch"] * TINY_SHAPE.new_tokens for row in generation["rows"])
    assert len(generation["one_request"]) == len(TINY_SHAPE.visual)
    assert generation["ratio"] > 0
    assert training["filled_cases"] == training["cases"] == TINY_SHAPE.cases
    assert training["ratio_10_epochs"] > 0
    # two trainers, one loss: otherwise their times cannot be compared
    assert training["cached_first_loss"] == pytest.approx(training["straightforward_first_loss"], rel=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a card")
def test_without_a_card_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 0
    assert last_line(capsys.readouterr().out) == {"skipped": "no CUDA card"}


def test_when_the_time_is_over_it_prints_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--device", "cpu", "--shape", "tiny", "--seconds", "0"]) == 0
    caught = capsys.readouterr()
    found = last_line(caught.out)
    assert found["complete"] is False
    assert found["generation"]["complete"] is False
    assert found["training"]["complete"] is False
    assert "the rest is left out" in caught.err


def test_a_part_never_outlasts_the_whole() -> None:
    whole = Budget(0, "all")
    with pytest.raises(OutOfTime, match="for a part are over"):
        whole.part(100, "a part").check()
    Budget(100, "all").part(50, "a part").check()


def test_the_shape_is_the_released_one() -> None:
    """729 tensors of 8,292,166,656 numbers, as in the released backbone; nothing is allocated for it here."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    loaded = make_model(TINY_SHAPE, "cpu")
    with torch.device("meta"):
        state = Qwen2_5_VLForConditionalGeneration(make_config(SEVEN_B, loaded.processor)).state_dict()
    assert len(state) == 729
    assert sum(tensor.numel() for tensor in state.values()) == 8_292_166_656


def test_the_roofline_of_the_seven_b_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """14.14 GB a step and 57 kB a cached token: 237 tokens a second alone on an H100, about 12,000 for 64 rows."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    loaded = make_model(TINY_SHAPE, "cpu")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            backbone = Qwen2_5_VLForConditionalGeneration(make_config(SEVEN_B, loaded.processor))
    finally:
        torch.set_default_dtype(before)
    loaded.model.backbone = backbone
    assert roofline_tokens(loaded, 1, 0) is None
    monkeypatch.setattr("bench.gpu_generation.memory_speed", lambda device: 3.35e12)
    assert roofline_tokens(loaded, 1, 0) == pytest.approx(237, abs=1)
    assert roofline_tokens(loaded, 64, 1000) == pytest.approx(12_000, rel=0.02)
    assert roofline_tokens(loaded, 128, 1000) == pytest.approx(20_000, rel=0.02)
