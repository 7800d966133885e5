"""DermEval: both stages train, resume and stay; what it scores has two readings."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from modelhub.ml.__main__ import main
from modelhub.ml.backends.base import Failure, GenerationSettings, Request
from modelhub.ml.dermeval_data import Physician, RatedNarrative, read_rated, write_rated
from modelhub.ml.dermeval_format import fill_prompt, read_critique, write_critique
from modelhub.ml.dermeval_rows import AnsweredPrompts
from modelhub.ml.dermeval_score import NumberFinder, ScoredNarrative, score_narratives
from modelhub.ml.dermeval_settings import DermEvalSettings
from modelhub.ml.dermeval_stages import Reinforced, request_of
from modelhub.ml.dermeval_train import DermEvalResult, add_lora, train_dermeval
from modelhub.ml.loading import LoadSpec, load
from modelhub.ml.train_data import DatasetError
from modelhub.ml.train_loop import TrainingError
from scoring.rubric import DIMENSION_KEYS
from tests.ml.random_checkpoint import make_image, make_llava

SCORES: dict[str, float | None] = dict(zip(DIMENSION_KEYS, (5.0, 0.0, 3.0, 4.5, None, 2.0), strict=True))
WORDS = dict.fromkeys(DIMENSION_KEYS, "so; and so.")
GREEDY = GenerationSettings(do_sample=False, max_new_tokens=30, batch_size=2)


@pytest.fixture(scope="module")
def rated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rated")
    rated = []
    for number in range(4):
        image = make_image(folder / f"{number}.png", (56, 56), seed=number)
        scores: dict[str, float | None] = dict.fromkeys(DIMENSION_KEYS, float(number))
        who = (Physician("a", scores, WORDS), Physician("b", scores | {"safety": None}, WORDS))
        rated.append(RatedNarrative(f"case {number // 2}", f"version {number}", (image,), f"Text {number}.", who))
    write_rated(rated, folder)
    return folder


def quick(**changes: Any) -> DermEvalSettings:
    values: dict[str, Any] = {
        "prompt": "Check.\n[[narrative]]",
        "sft_steps": 4,
        "sft_lr": 1e-2,
        "rl_steps": 3,
        "rl_lr": 1e-2,
        "batch": 2,
        "rank": 4,
        "alpha": 8,
        "max_new_tokens": 6,
        "checkpoint_every_steps": 1,
    }
    return DermEvalSettings.from_dict(values | changes)


class Stopped(Exception):
    pass


def events(out: Path, stage: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / stage / "progress.jsonl").read_text().splitlines()]
    return [{name: value for name, value in event.items() if name != "seconds"} for event in found]


@pytest.fixture(scope="module")
def trained(base: Path, rated_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> DermEvalResult:
    out = tmp_path_factory.mktemp("trained")
    return train_dermeval(base=base, data=rated_folder, out=out, settings=quick())


def test_both_stages_are_kept_with_their_curves(trained: DermEvalResult, base: Path) -> None:
    assert list(trained.adapters) == ["sft", "rl"]
    out = trained.adapters["sft"].parent.parent
    assert [event["step"] for event in events(out, "sft")] == [1, 2, 3, 4]
    told = events(out, "rl")
    baseline = told[0]["reward"]
    for event in told:
        assert event["parse_rate"] == 0  # six letters of a random model
        assert event["reward"] == -25
        baseline = 0.9 * baseline + 0.1 * event["reward"]
        assert event["baseline"] == pytest.approx(baseline)
    provenance = json.loads((trained.adapters["rl"] / "provenance.json").read_text())
    assert (provenance["kind"], provenance["stage"], provenance["critiques"]) == ("dermeval", "rl", 8)
    assert provenance["cases"] == ["case 0", "case 1"]
    assert load(LoadSpec(base, trained.adapters["rl"])).identity.adapter_sha256


def test_stopped_anywhere_it_goes_on_to_the_same_weights(
    trained: DermEvalResult, base: Path, rated_folder: Path, tmp_path: Path
) -> None:
    for stage, step in (("sft", 2), ("rl", 2)):

        def stop(event: dict[str, Any], stage: str = stage, step: int = step) -> None:
            if (event["stage"], event["step"]) == (stage, step):
                raise Stopped

        with pytest.raises(Stopped):
            train_dermeval(base=base, data=rated_folder, out=tmp_path, settings=quick(), on_event=stop)
    again = train_dermeval(base=base, data=rated_folder, out=tmp_path, settings=quick())
    for stage, folder in trained.adapters.items():
        one, other = (load_file(path / "adapter_model.safetensors") for path in (folder, again.adapters[stage]))
        assert all(torch.equal(value, other[name]) for name, value in one.items())
        assert events(tmp_path, stage) == events(folder.parent.parent, stage)
    with pytest.raises(TrainingError, match="settings"):
        train_dermeval(base=base, data=rated_folder, out=tmp_path, settings=quick(seed=1))


def test_reinforcement_moves_towards_what_is_rewarded(base: Path, rated_folder: Path) -> None:
    """One step's gradient: a critique above the baseline becomes likelier, one below it less likely."""
    settings = quick(sft_steps=1)
    loaded = load(LoadSpec(base), merge_adapter=False)
    torch.manual_seed(0)
    add_lora(loaded, settings)
    learning = [p.requires_grad_(True) for name, p in loaded.model.backbone.named_parameters() if "lora_" in name]
    rows = AnsweredPrompts(loaded)
    stage = Reinforced(rows, read_rated(rated_folder), settings)
    answers = [rows.answer("Accuracy: 1 – so."), rows.answer("Accuracy: 2 – so.")]
    stage._sample = lambda number, requests: (["Accuracy: 1 – so.", "Accuracy: 2 – so."], answers)  # type: ignore[method-assign]
    chosen = [1, 0]  # physicians say 1, and 0
    stage.step(1, chosen)
    requests = [stage.requests[place] for place in chosen]
    with torch.no_grad():
        before = rows.losses(requests, answers)
        for parameter in learning:
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
        after = rows.losses(requests, answers)
    assert float(after[0] - after[1]) < float(before[0] - before[1])


def test_scores_come_with_two_readings_and_failures(
    trained: DermEvalResult, base: Path, rated_folder: Path, tmp_path: Path
) -> None:
    loaded = load(LoadSpec(base, trained.adapters["sft"]))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    requests = [Request(one.version, one.images, fill_prompt("[[narrative]]", "x")) for one in read_rated(rated_folder)]
    found = [*score_narratives(loaded, [*requests, Request("broken", (broken,), "x")], GREEDY)]
    assert {one.id for one in found if isinstance(one, Failure)} == {"broken"}
    scored = [one for one in found if isinstance(one, ScoredNarrative)]
    assert {one.id for one in scored} == {request.id for request in requests}
    assert all(set(one.expected) == set(DIMENSION_KEYS) for one in scored)
    with pytest.raises(ValueError, match="greedy"):
        [*score_narratives(loaded, requests, GenerationSettings())]


def test_the_expected_reading_is_the_mean_by_the_models_probabilities(base: Path) -> None:
    loaded = load(LoadSpec(base))
    text = write_critique(SCORES, WORDS)
    tokens = AnsweredPrompts(loaded).answer(text)
    logits = torch.full((len(tokens), 400), -30.0)
    digits = loaded.tokenizer.convert_tokens_to_ids([*"012345"])
    places = [place for place, token in enumerate(tokens) if token in digits]
    logits[:, digits[2]], logits[:, digits[3]] = 1.0, 1.0
    expected = NumberFinder(loaded).expected(read_critique(text), tokens, logits)
    assert len(places) == 6  # four whole numbers and the two digits of 4.5
    assert expected == {
        "accuracy": pytest.approx(2.5),
        "safety": pytest.approx(2.5),
        "medical_groundedness": pytest.approx(2.5),
        "clinical_coverage": None,
        "reasoning_coherence": None,
        "description_precision": pytest.approx(2.5),
    }


def test_a_pictures_place_in_an_answer_is_no_picture(base: Path, rated_folder: Path) -> None:
    """A model that samples the token does not end its own training."""
    loaded = load(LoadSpec(base))
    rows = AnsweredPrompts(loaded)
    request = request_of(read_rated(rated_folder)[0], "[[narrative]]")
    plain = rows.answer("Accuracy: 1 – so.")
    odd = [*plain[:3], loaded.model.qwen.config.image_token_id, *plain[3:]]
    losses = rows.losses([request, request], [plain, odd])
    assert losses.isfinite().all()
    at_the_place = rows.logits([request], [odd])[0, 3]
    same_prefix = rows.logits([request], [plain])[0, 3]
    assert torch.allclose(at_the_place, same_prefix, atol=1e-4)
    alone = rows.losses([request], [odd[:4]]) - rows.losses([request], [odd[:3]])
    assert float(alone) == pytest.approx(float(-at_the_place.log_softmax(0)[odd[3]]), abs=1e-3)


def test_a_llava_learns_too(rated_folder: Path, tmp_path: Path) -> None:
    other = make_llava(tmp_path / "llava")
    result = train_dermeval(
        base=other, data=rated_folder, out=tmp_path / "out", settings=quick(sft_steps=2, rl_steps=1)
    )
    loaded = load(LoadSpec(other, result.adapters["rl"]))
    one = read_rated(rated_folder)[0]
    assert len([*score_narratives(loaded, [Request("a", one.images, "Check.")], GREEDY)]) == 1


def test_the_command_trains_what_a_plan_says(
    base: Path, rated_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    raw = quick(rl_steps=0, sft_steps=1).to_dict()
    plan.write_text(
        json.dumps({"base": str(base), "data": str(rated_folder), "out": str(tmp_path / "o"), "settings": raw})
    )
    assert main(["dermeval-train", str(plan), "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out)["adapters"]] == ["sft"]
    plan.write_text(json.dumps({"base": str(base)}))
    assert main(["dermeval-train", str(plan)]) == 1
    assert "data, out, settings" in capsys.readouterr().err


def test_broken_data_and_settings_are_refused(base: Path, rated_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"critiques\.jsonl"):
        read_rated(tmp_path)
    folder = Path(shutil.copytree(rated_folder, tmp_path / "copy"))
    lines = (folder / "critiques.jsonl").read_text().splitlines()
    (folder / "critiques.jsonl").write_text("\n".join([lines[0], lines[1].replace('"safety": 1.0', '"safety": 7')]))
    with pytest.raises(DatasetError, match="line 2"):
        read_rated(folder)
    (folder / "critiques.jsonl").write_text("\n".join([lines[0], lines[0]]))
    with pytest.raises(DatasetError, match="twice"):
        read_rated(folder)
    with pytest.raises(DatasetError, match="max_length is 20"):
        train_dermeval(base=base, data=rated_folder, out=tmp_path / "out", settings=quick(max_length=20))
    for changes in ({"momentum": 1.0}, {"sft_steps": 0}, {"unread_error": 0}, {"prompt": "x"}, {"colour": "red"}):
        with pytest.raises(ValueError, match=r"\w"):
            quick(**changes)
