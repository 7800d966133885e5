"""The trainer on a random tiny model: it learns, reloads to the same loss, and fits into the card."""

import fcntl
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modelhub.ml.generate import GenerationSettings, Request, generate
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.losses import Counts
from modelhub.ml.train import TrainingError, prepare_model, train
from modelhub.ml.train_batches import Encoder, collate
from modelhub.ml.train_data import read_records
from modelhub.ml.train_loop import compute_terms, learning_rate
from modelhub.ml.train_settings import TrainSettings
from tests.ml.random_checkpoint import make_dataset
from tests.ml.trainings import events, losses, quick


@pytest.mark.parametrize("recipe", ["lora", "dual_distillation", "both"])
def test_training_learns_and_the_adapter_reloads(recipe: str, base: Path, dataset: Path, tmp_path: Path) -> None:
    before = (base / "model.safetensors").read_bytes()
    result = train(base=base, data=dataset, out=tmp_path, settings=quick(recipe=recipe, epochs=8))

    found = losses(tmp_path)
    assert len(found) == result.steps == 16
    assert np.mean(found[-2:]) < (0.95 if recipe == "dual_distillation" else 0.9) * np.mean(found[:2])
    files = {path.name for path in result.adapter.iterdir()}
    assert ("adapter_model.safetensors" in files) == (recipe != "dual_distillation")
    assert ("skin_branch.safetensors" in files) == (recipe != "lora")
    assert (base / "model.safetensors").read_bytes() == before
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert provenance["records"] == 8
    assert provenance["settings"]["recipe"] == recipe
    assert provenance["trainable_parameters"] == result.trainable_parameters

    requests = [Request("a", (dataset / "images/0.png",), "Describe.")]
    greedy = GenerationSettings(do_sample=False, max_new_tokens=30)
    folded = load(LoadSpec(base, result.adapter))
    beside = load(LoadSpec(base, result.adapter), merge_adapter=False)
    assert [o.text for o in generate(folded, requests, greedy)] == [o.text for o in generate(beside, requests, greedy)]
    assert folded.identity.bias_mode == ("off" if recipe == "lora" else "all_steps")
    plain = load(LoadSpec(base))
    assert [o.text for o in generate(plain, requests, greedy)] != [o.text for o in generate(folded, requests, greedy)]


def test_reloaded_adapter_has_the_loss_it_was_trained_to(base: Path, dataset: Path, tmp_path: Path) -> None:
    """The weights that the last step left, computed in the run's own process, against the folder on disk."""
    result = train(base=base, data=dataset, out=tmp_path, settings=quick(recipe="both"))
    state = load_file(tmp_path / "checkpoint" / f"step-{result.steps}" / "trainable.safetensors")
    reloaded = load(LoadSpec(base, result.adapter), merge_adapter=False)
    own = dict(reloaded.model.named_parameters())
    assert all(torch.equal(own[name], value) for name, value in state.items())


def test_bfloat16_trains_float32_masters(base: Path, dataset: Path, tmp_path: Path) -> None:
    result = train(base=base, data=dataset, out=tmp_path, settings=quick(recipe="both", precision="bfloat16", epochs=8))
    found = losses(tmp_path)
    assert np.mean(found[-2:]) < 0.9 * np.mean(found[:2])
    for name in ("adapter_model.safetensors", "skin_branch.safetensors"):
        assert {value.dtype for value in load_file(result.adapter / name).values()} == {torch.float32}
    loaded = load(LoadSpec(base, result.adapter, precision="bfloat16"))
    assert loaded.model.qwen.lm_head.weight.dtype == torch.bfloat16
    request = Request("a", (dataset / "images/0.png",), "Describe.")
    (output,) = generate(loaded, [request], GenerationSettings(do_sample=False, max_new_tokens=8))
    assert output.tokens > 0


def test_only_the_recipe_gets_gradients(base_with_branch: Path, dataset: Path) -> None:
    for recipe in ("lora", "dual_distillation", "both"):
        loaded = load(LoadSpec(base_with_branch))
        prepare_model(loaded, quick(recipe=recipe))
        names = {name for name, p in loaded.model.named_parameters() if p.requires_grad}
        lora = {name for name in names if "lora_" in name}
        branch = {name for name in names if name.startswith("branch.")}
        assert names == lora | branch
        assert (bool(lora), bool(branch)) == (recipe != "dual_distillation", recipe != "lora")
        assert not any("visual" in name for name in lora)


def test_going_on_from_an_adapter(base: Path, dataset: Path, tmp_path: Path) -> None:
    first = train(base=base, data=dataset, out=tmp_path / "1", settings=quick(recipe="both"))
    second = train(
        base=base, data=dataset, out=tmp_path / "2", settings=quick(recipe="lora"), start_adapter=first.adapter
    )
    assert losses(tmp_path / "2")[0] < losses(tmp_path / "1")[0]
    kept = load_file(second.adapter / "skin_branch.safetensors")
    before = load_file(first.adapter / "skin_branch.safetensors")
    assert all(torch.equal(kept[key], before[key]) for key in before)
    with pytest.raises(TrainingError, match="rank 4"):
        train(base=base, data=dataset, out=tmp_path / "3", settings=quick(rank=5), start_adapter=first.adapter)


def test_loss_is_on_the_answer_alone(base: Path, dataset: Path) -> None:
    loaded = load(LoadSpec(base))
    records = read_records(dataset)[:2]
    encoder = Encoder(loaded.processor, loaded.tokenizer.eos_token_id)
    batch = collate(records, encoder, None)
    scored = batch["scored"][:, :-1]
    assert torch.equal(batch["input_ids"][:, 1:][scored], batch["targets"])
    answer = loaded.tokenizer.decode(batch["targets"][: int(batch["answer_lengths"][0])].tolist())
    assert answer == records[0].answer + "<|im_end|>"
    with torch.no_grad():
        ours = compute_terms(loaded.model, batch, Counts(len(batch["targets"]), 2, 0, 2), with_branch=False).answer
        logits = loaded.model.qwen(
            **{
                k: v
                for k, v in batch.items()
                if k in ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw")
            }
        ).logits
        expected = torch.nn.functional.cross_entropy(logits[:, :-1][scored], batch["targets"])
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("recipe", ["lora", "dual_distillation", "both"])
def test_how_a_step_is_cut_into_batches_changes_nothing(recipe: str, base: Path, tmp_path: Path) -> None:
    """Batches of other sizes have other numbers of tokens, labels and teachers, and yet make the same step."""
    data = make_dataset(tmp_path / "set")
    for i in (0, 1, 6):
        np.save(data / "images" / f"{i}.png.npy", np.linspace(-1, i, 10, dtype=np.float32))
    whole = train(base=base, data=data, out=tmp_path / "1", settings=quick(recipe=recipe, batch=8, grad_accumulation=1))
    parts = train(base=base, data=data, out=tmp_path / "2", settings=quick(recipe=recipe, batch=1, grad_accumulation=8))
    assert whole.steps == parts.steps == 3
    for term in ("answer", "distill", "balance", "skin", "total"):
        pairs = zip(losses(tmp_path / "1", term), losses(tmp_path / "2", term), strict=True)
        for one, many in pairs:
            assert (one is None) == (many is None) == (recipe == "lora" and term in ("distill", "balance", "skin"))
            assert one is None or many == pytest.approx(one, rel=2e-4)


class SmallCard:
    """Runs out of memory when more than `room` cases come at once."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, model: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if len(batch["answer_lengths"]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute_terms(model, batch, *args, **kwargs)


def test_out_of_memory_halves_the_batch_once_and_the_step_stays_the_same(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(recipe="both", batch=6, grad_accumulation=1)
    train(base=base, data=dataset, out=tmp_path / "roomy", settings=settings)
    monkeypatch.setattr("modelhub.ml.train_loop.compute_terms", SmallCard(room=3))
    result = train(base=base, data=dataset, out=tmp_path / "tight", settings=settings)
    assert losses(tmp_path / "tight") == pytest.approx(losses(tmp_path / "roomy"), rel=1e-4)
    (notice,) = events(tmp_path / "tight", "notice")
    assert notice["text"].startswith("Out of memory at step 1: 3 cases at once instead of 6")
    assert notice["text"] in json.loads((result.adapter / "provenance.json").read_text())["notes"]

    monkeypatch.setattr("modelhub.ml.train_loop.compute_terms", SmallCard(room=2))
    with pytest.raises(TrainingError, match="out of memory at step 1 with 3 cases at once: set batch to 1"):
        train(base=base, data=dataset, out=tmp_path / "tiny", settings=settings)
    assert not (tmp_path / "tiny" / "adapter").exists()


def test_what_is_trainable_is_told_and_stored(base: Path, dataset: Path, tmp_path: Path) -> None:
    result = train(base=base, data=dataset, out=tmp_path, settings=quick(recipe="both", epochs=1))
    (start,) = events(tmp_path, "start")
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert start["trainable"] == provenance["trainable"]
    stored = {
        part: sum(v.numel() for v in load_file(result.adapter / name).values())
        for part, name in (("lora", "adapter_model.safetensors"), ("branch", "skin_branch.safetensors"))
    }
    assert start["trainable"] == stored
    assert result.trainable_parameters == sum(stored.values())


def test_a_second_process_waits_for_the_first(base: Path, dataset: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(train, base=base, data=dataset, out=tmp_path, settings=quick(epochs=1))
        time.sleep(0.5)
        assert not waiting.done()
        assert not (tmp_path / "run.json").exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert waiting.result(timeout=60).steps == 2


def test_learning_rate_warms_up_and_decays() -> None:
    settings = TrainSettings(lr=1e-3, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4) and rates[9] == pytest.approx(1e-3) == max(rates)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 1e-5
