"""What DermEval's bench concludes: skill over the constant, silence, clusters, and whether the goal is met."""

from pathlib import Path

import numpy as np
import pytest

from bench.dermeval import FULL, PRIMARY, SHORT, compare, met, show, skilful
from bench.dermeval_data import UNSEEN_SEED, rated_set
from bench.dermeval_figures import Scored, constants, figures
from modelhub.ml.dermeval_data import Physician, RatedNarrative
from modelhub.ml.dermeval_format import READINGS
from modelhub.ml.dermeval_lines import FittedLines, Line
from scoring.rubric import DIMENSION_KEYS

Numbers = dict[str, float | None]


def same(value: float | None) -> Numbers:
    return dict.fromkeys(DIMENSION_KEYS, value)


def scored(noise: float, *, silent: int = 0, cases: int = 50, each: int = 2) -> list[Scored]:
    rng = np.random.default_rng(4)
    found = []
    for number in range(cases * each):
        truth = float(rng.uniform(0, 5))
        said = None if number < silent else truth + float(rng.normal(0, noise))
        found.append(Scored(f"case {number // each}", same(truth), same(said)))
    return found


def test_skill_is_what_is_left_of_the_constants_squared_error() -> None:
    rows = scored(0.5)
    figure = figures(rows, dict.fromkeys(DIMENSION_KEYS, 2.5))["safety"]
    pairs = [(one.truth["safety"], one.found["safety"]) for one in rows]
    truth, found = np.array(pairs, dtype=float).T
    assert figure["skill"] == pytest.approx(1 - ((truth - found) ** 2).sum() / ((truth - 2.5) ** 2).sum())
    assert figure["low"] < figure["skill"] < figure["high"]
    assert (figure["expected"], figure["read"]) == (100, 1.0)


def test_silence_is_worth_the_constant_and_no_more() -> None:
    constant = dict.fromkeys(DIMENSION_KEYS, 2.5)
    silent = figures(scored(0.1, silent=100), constant)["safety"]
    assert (silent["read"], silent["skill"], silent["low"], silent["high"]) == (0.0, 0.0, 0.0, 0.0)
    half = figures(scored(0.1, silent=50), constant)["safety"]
    assert half["read"] == 0.5
    assert 0.2 < half["skill"] < 0.8
    assert figures(scored(4.0), constant)["safety"]["high"] < 0


def test_narratives_about_one_case_are_drawn_together() -> None:
    """The same errors, as 100 cases or as 10: fewer clusters, a wider interval."""
    rows = scored(1.5, cases=100, each=1)
    ordered = sorted(rows, key=lambda one: abs((one.truth["safety"] or 0) - (one.found["safety"] or 0)))
    together = [Scored(f"case {number // 10}", one.truth, one.found) for number, one in enumerate(ordered)]
    constant = dict.fromkeys(DIMENSION_KEYS, 2.5)
    apart, clustered = (figures(some, constant)["safety"] for some in (rows, together))
    assert apart["skill"] == pytest.approx(clustered["skill"])
    assert clustered["high"] - clustered["low"] > 1.5 * (apart["high"] - apart["low"])


def rated(count: int) -> list[RatedNarrative]:
    return [
        RatedNarrative(
            f"case {n}", f"version {n}", (Path("x.png"),), "Text.", (Physician("a", same(float(n % 6)), {}),)
        )
        for n in range(count)
    ]


def test_each_reading_is_judged_by_itself_and_the_goal_by_the_primary_one() -> None:
    unseen = rated(60)
    scores = {
        one.version: {"greedy": same(5.0), "expected": same(2 + (one.mean_scores()["safety"] or 0) / 5), "text": ""}
        for one in unseen
    }
    lines = FittedLines(9, 36, dict.fromkeys(DIMENSION_KEYS, Line(-10.0, 5.0, 36)))
    stage = compare(scores, lines, unseen, unseen)
    assert [*stage] == [*READINGS]
    assert constants(unseen)["safety"] == 2.5
    assert stage["fitted"]["accuracy"]["skill"] == pytest.approx(1.0)
    assert stage["greedy"]["accuracy"]["high"] < 0
    assert "Clinical Coverage" in show({"sft": stage})
    counted = skilful({"11": {"sft": stage, "rl": stage}})
    assert counted["11"][f"sft, {PRIMARY}"] == 6
    assert counted["11"]["sft, greedy"] == 0
    assert met(counted) == {"rl": True, "sft": True}
    assert met(counted | {"12": counted["11"] | {"rl, fitted": 3}}) == {"rl": False, "sft": True}


def test_every_seed_draws_its_own_unseen_cases(tmp_path: Path) -> None:
    made = [rated_set(tmp_path / str(seed), cases=2, each=2, seed=UNSEEN_SEED + seed) for seed in FULL.seeds[:2]]
    assert all(len(one) == 4 for one in made)
    assert not {one.case for one in made[0]} & {one.case for one in made[1]}
    first = FULL.seeds[0]
    assert rated_set(tmp_path / str(first), cases=2, each=2, seed=UNSEEN_SEED + first) == made[0]
    used = {*FULL.seeds, *SHORT.seeds}
    assert len(used | {UNSEEN_SEED + seed for seed in used}) == 2 * len(used)
