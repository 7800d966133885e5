"""The ablation's figures come from its texts; its held-out drawings are nobody's training drawings."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bench import ablation
from bench.ablation_data import HELD_OUT_SEED, TONES, make_cases
from bench.ablation_table import SERIES, by_tone, markdown, merge, per_seed, score_texts
from modelhub.ml import tiny, tiny_teacher
from modelhub.ml.checkpoint_files import hash_weights
from modelhub.ml.synthetic.wording import corrupt, narrative

CASES = make_cases(30, 7)
EXACT = {case.key: narrative(case.lesion, np.random.default_rng(case.seed)) for case in CASES}
WRONG = {case.key: corrupt(case.lesion, np.random.default_rng(case.seed), "wrong_diagnosis") for case in CASES}


def test_no_drawing_is_in_two_sets() -> None:
    sets = [make_cases(ablation.FULL.held_out, HELD_OUT_SEED)]
    sets += [make_cases(ablation.FULL.training, HELD_OUT_SEED + seed) for seed in ablation.FULL.seeds]
    drawn = [{(case.lesion, case.seed) for case in cases} for cases in sets]
    assert all(len(pairs) == len(cases) for pairs, cases in zip(drawn, sets, strict=True))
    assert all(left.isdisjoint(right) for left, right in combinations(drawn, 2))
    # a drawing of the tiny model's or its teacher's set has a seed of the set's seed × 1,000,000 and its place
    taken = {seed * 1_000_000 + place for seed in (tiny.SEED, tiny_teacher.SEED) for place in range(10_000)}
    assert taken.isdisjoint(case.seed for cases in sets for case in cases)


def test_held_out_drawings_are_many_and_even() -> None:
    held_out = make_cases(ablation.FULL.held_out, HELD_OUT_SEED)
    assert len(held_out) >= 300
    assert [sum(case.lesion.skin_tone == tone for case in held_out) for tone in TONES] == [len(held_out) // 3] * 3
    assert len(ablation.FULL.seeds) >= 3


def test_exact_narratives_beat_wrong_ones_in_every_group() -> None:
    seeds = (1, 2)
    arms = {
        "base": merge([score_texts(CASES, WRONG, seed) for seed in seeds]),
        "taught": merge([score_texts(CASES, EXACT, seed) for seed in seeds]),
    }
    results = by_tone(arms, {"base": "base", "taught": "taught"}, CASES)
    assert set(results) == {"all", *TONES}
    for group, found in results.items():
        expected = len(CASES) if group == "all" else len(CASES) // 3
        base, taught = found["models"]
        (pair,) = found["pairs"]
        assert taught["expected"] == expected
        assert taught["overall"]["n"] == 2 * expected
        assert taught["overall"]["mean"] == 5.0
        assert (base["diagnosis"]["mean"], taught["diagnosis"]["mean"]) == (0.0, 1.0)
        assert pair["overall"]["low"] > 0
        assert pair["overall"]["mean"] == pytest.approx(5.0 - base["overall"]["mean"])
    assert per_seed(arms)["taught"] == {
        str(seed): dict.fromkeys((*SERIES,), 5.0) | {"diagnosis": 1.0} for seed in seeds
    }


def test_texts_of_one_drawing_are_one_cluster() -> None:
    """The same texts under three seeds tell no more than under one, so the interval must not shrink."""
    mixed = {case.key: (EXACT if n % 2 else WRONG)[case.key] for n, case in enumerate(CASES)}
    widths = []
    for seeds in ((1,), (1, 2, 3)):
        arms = {
            "base": merge([score_texts(CASES, WRONG, seed) for seed in seeds]),
            "mixed": merge([score_texts(CASES, mixed, seed) for seed in seeds]),
        }
        (pair,) = by_tone(arms, {"base": "base", "mixed": "mixed"}, CASES)["all"]["pairs"]
        widths.append(pair["overall"]["high"] - pair["overall"]["low"])
    assert widths[0] == pytest.approx(widths[1])


def test_the_table_says_what_was_left_out() -> None:
    empty = dict.fromkeys(EXACT, "<think> Nothing to say. </think>")
    arms = {"base": score_texts(CASES, empty, 1), "taught": score_texts(CASES, EXACT, 1)}
    words = markdown(by_tone(arms, {"base": "base", "taught": "taught"}, CASES))
    base = next(line for line in words.splitlines() if "| base" in line)
    assert "–" in base  # groundedness of a text without a statement cannot be judged
    assert "difference to base" in words
    assert "100.0" in words


def test_settings_are_those_that_the_hub_offers() -> None:
    from modelhub.services.model_settings import SYNTHETIC_TRAINING, TRAINING_DEFAULTS

    hub = TRAINING_DEFAULTS | SYNTHETIC_TRAINING
    assert {name: hub[name] for name in ablation.SETTINGS} == ablation.SETTINGS


def test_record_and_page_agree_and_are_of_the_shipped_models() -> None:
    record = json.loads(ablation.RECORD.read_text(encoding="utf-8"))
    assert record["held_out_cases"] >= 300
    assert len(record["seeds"]) >= 3
    assert record["base_sha256"] == hash_weights(ablation.BASE)
    assert record["teacher_sha256"] == hash_weights(ablation.TEACHER)
    assert ablation.document(record) == ablation.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.one_round
def test_a_small_one_runs_from_drawings_to_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(
        ablation, "ARMS", tuple(arm for arm in ablation.ARMS if arm.key in ("base", "dual_distillation"))
    )
    plan = ablation.Plan(training=6, held_out=6, seeds=(1,), settings=ablation.SETTINGS | {"epochs": 1})
    threads = torch.get_num_threads()
    try:
        record = ablation.run(plan, tmp_path, threads=1)
        texts = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
        again = ablation.run(plan, tmp_path, threads=1)
    finally:
        torch.set_num_threads(threads)
    assert [model["scored"] for model in record["results"]["all"]["models"]] == [6, 6]
    assert set(texts) == {"base-6.json", "dual_distillation-1-6.json"}
    assert again["results"] == record["results"]
    provenance = json.loads((tmp_path / "dual_distillation-1" / "adapter" / "provenance.json").read_text())
    assert provenance["teacher_features"] == {"present": 6, "missing": 0}
