"""On a card a step is recorded once and replayed; it writes what the layers themselves would."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from modelhub.ml.backends.base import GenerationSettings, Output, Request
from modelhub.ml.generate import generate
from modelhub.ml.generate_plain import generate_plainly
from modelhub.ml.loading import LoadSpec, load

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")


def test_a_recorded_step_writes_the_same_text(
    base_with_branch: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(LoadSpec(base_with_branch, device="cuda"))
    requests = [Request(f"r{i}", (path,), "Describe." + " Please." * i) for i, path in enumerate(pictures)]
    greedy = GenerationSettings(do_sample=False, max_new_tokens=40, batch_size=2)
    monkeypatch.setattr("modelhub.ml.decoder.BLOCK", 32)  # grows, so that the step is recorded anew
    for settings in (greedy, replace(greedy, do_sample=True)):
        ours, theirs = (
            {output.id: output.text for output in way(loaded, requests, settings) if isinstance(output, Output)}
            for way in (generate, generate_plainly)
        )
        assert ours == theirs and len(ours) == len(requests)
