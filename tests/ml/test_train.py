"""The trainer on a random tiny model: it learns, resumes after SIGKILL to the same weights, and refuses nonsense."""

import fcntl
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modelhub.ml.adapter_files import write_adapter
from modelhub.ml.branch import FIRST_VERSION
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.generate import GenerationSettings, Request, generate
from modelhub.ml.hidden_cache import CacheRefused
from modelhub.ml.loading import LoadedModel, LoadSpec, load
from modelhub.ml.losses import NO_LABEL, Counts, distillation_loss, skin_loss
from modelhub.ml.train import TrainingError, make_plan, prepare_model, train
from modelhub.ml.train_batches import Encoder, collate
from modelhub.ml.train_data import DatasetError, read_records
from modelhub.ml.train_loop import TrainLoop, compute_terms, learning_rate
from modelhub.ml.train_settings import TrainSettings
from tests.ml.random_checkpoint import make_dataset

SIZES = {"embed": 24, "experts": 4, "expert_width": 8, "layers": 2, "rank": 6, "teacher_width": 10}


def quick(**changes: object) -> TrainSettings:
    values = {"epochs": 3, "lr": 1e-2, "rank": 4, "alpha": 8, "batch": 4, "grad_accumulation": 1, "branch_sizes": SIZES}
    return TrainSettings.from_dict(values | changes)


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    return [event for event in lines if event["kind"] == kind]


def losses(out: Path, term: str = "answer") -> list[float]:
    return [event["losses"][term] for event in events(out, "step")]


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


def test_missing_teacher_features_and_labels_are_left_out() -> None:
    projected, teacher = torch.randn(3, 5), torch.randn(3, 5)
    present = torch.tensor([True, False, True])
    both = distillation_loss(projected[present], teacher[present], torch.tensor([True, True]), 2)
    assert torch.equal(distillation_loss(projected, teacher, present, 2), both)  # type: ignore[arg-type]
    expected = 10 * (1 - torch.cosine_similarity(projected[present], teacher[present])).mean()
    torch.testing.assert_close(both, expected)
    assert distillation_loss(projected, teacher, torch.zeros(3, dtype=torch.bool), 0) is None
    logits, labels = torch.randn(3, 3), torch.tensor([0, NO_LABEL, 2])
    expected = torch.nn.functional.cross_entropy(logits[[0, 2]], labels[[0, 2]])
    torch.testing.assert_close(skin_loss(logits, labels, 2), expected)
    assert skin_loss(logits, torch.full((3,), NO_LABEL), 0) is None


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


def test_the_first_version_of_the_branch_learns_from_a_teacher_alone(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(8):
        np.save(data / "images" / f"{i}.png.npy", np.linspace(-1, i, 10, dtype=np.float32))
    sizes = FIRST_VERSION | {"embed": 24, "expert_width": 8, "rank": 6, "teacher_width": 10}
    settings = quick(recipe="dual_distillation", epochs=10, branch_sizes=sizes)
    result = train(base=base, data=data, out=tmp_path / "out", settings=settings)
    found = events(tmp_path / "out", "step")
    assert {e["losses"]["balance"] for e in found} == {e["losses"]["skin"] for e in found} == {None}
    assert found[-1]["losses"]["distill"] < 0.9 * found[0]["losses"]["distill"]
    reloaded = load(LoadSpec(base, result.adapter)).model
    assert reloaded.branch is not None and reloaded.branch.config.experts == reloaded.branch.config.skin_classes == 0
    assert reloaded.bias_mode == "all_steps"


def test_a_saved_branch_and_adapter_are_the_same_bytes_after_a_round_trip(
    base: Path, dataset: Path, tmp_path: Path
) -> None:
    result = train(base=base, data=dataset, out=tmp_path / "out", settings=quick(recipe="both"))
    write_adapter(tmp_path / "again", load(LoadSpec(base, result.adapter), merge_adapter=False).model, {})
    files = {path.name for path in result.adapter.iterdir()} - {"provenance.json"}
    assert files == {path.name for path in (tmp_path / "again").iterdir()} - {"provenance.json"}
    assert {"adapter_model.safetensors", "skin_branch.safetensors", "skin_branch.json"} <= files
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (result.adapter / name).read_bytes(), name


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


def test_teacher_features_are_used_and_counted(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(3):
        np.save(data / "images" / f"{i}.png.npy", np.ones(10, dtype=np.float32))
    result = train(base=base, data=data, out=tmp_path / "out", settings=quick(recipe="dual_distillation", batch=8))
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert provenance["teacher_features"] == {"present": 3, "missing": 5}
    found = losses(tmp_path / "out", "distill")
    assert found[-1] < found[0]
    np.save(data / "images" / "0.png.npy", np.ones(11, dtype=np.float32))
    with pytest.raises(DatasetError, match=r"0\.png\.npy must hold 10"):
        train(base=base, data=data, out=tmp_path / "out2", settings=quick(recipe="dual_distillation"))


def test_a_new_branch_has_the_width_of_the_features_and_an_old_one_keeps_its_own(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "set")
    for i in range(1, 8):
        np.save(data / "images" / f"{i}.png.npy", np.ones(7, dtype=np.float32))
    sizes = {name: size for name, size in SIZES.items() if name != "teacher_width"}
    settings = quick(recipe="dual_distillation", epochs=1, branch_sizes=sizes)
    result = train(base=base, data=data, out=tmp_path / "out", settings=settings)
    assert json.loads((result.adapter / "skin_branch.json").read_text())["teacher_width"] == 7
    provenance = json.loads((result.adapter / "provenance.json").read_text())
    assert provenance["teacher_features"] == {"present": 7, "missing": 1}
    for i in range(1, 8):
        np.save(data / "images" / f"{i}.png.npy", np.ones(9, dtype=np.float32))
    with pytest.raises(DatasetError, match=r"1\.png\.npy must hold 7 finite numbers"):
        train(base=base, data=data, out=tmp_path / "more", settings=settings, start_adapter=result.adapter)


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


def test_a_second_process_waits_for_the_first(base: Path, dataset: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(train, base=base, data=dataset, out=tmp_path, settings=quick(epochs=1))
        time.sleep(0.5)
        assert not waiting.done()
        assert not (tmp_path / "run.json").exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert waiting.result(timeout=60).steps == 2


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


def test_learning_rate_warms_up_and_decays() -> None:
    settings = TrainSettings(lr=1e-3, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4) and rates[9] == pytest.approx(1e-3) == max(rates)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 1e-5
