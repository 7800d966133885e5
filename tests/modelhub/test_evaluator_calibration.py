"""Evaluators against physicians: a constant has no skill, a good evaluator does, and what cannot be known is not 0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub.evaluators.calibration import (
    LEAST,
    NO_KAPPA,
    NO_RANKS,
    TOO_FEW,
    calibrate,
    constant_error,
    fit_steps,
    kappa,
    skill,
)
from scoring.intervals import mean_interval
from scoring.weighted_kappa import quadratic_kappa

RANDOM = np.random.default_rng(5)


def near_the_ceiling(n: int = 400) -> np.ndarray:
    """Most texts are nearly perfect, as physicians' scores are."""
    return np.round(np.clip(5 - RANDOM.exponential(0.5, n), 0, 5) * 2) / 2


def patients(n: int, each: int = 2) -> np.ndarray:
    return np.arange(n) // each


class TestSkill:
    @pytest.mark.parametrize("constant", [5.0, 4.5, 0.0])
    def test_a_constant_has_none_however_small_its_error(self, constant):
        physicians = near_the_ceiling()
        found = calibrate(np.full(400, constant), physicians, patients(400), resamples=300)
        assert found["skill"]["value"] <= 0 and found["skill"]["high"] <= 0
        assert found["spearman"] == {"value": None, "low": None, "high": None, "reason": NO_RANKS}

    def test_a_constant_5_at_the_ceiling_looks_good_by_its_error_alone(self):
        physicians = np.where(RANDOM.random(400) < 0.79, 5.0, 4.7)
        found = calibrate(np.full(400, 5.0), physicians, patients(400), resamples=300)
        assert found["mae"]["value"] < 0.1 and found["skill"]["value"] <= 0

    def test_an_evaluator_that_follows_the_physicians_has_some(self):
        physicians = near_the_ceiling()
        machine = np.clip(physicians + RANDOM.normal(0, 0.15, 400), 0, 5)
        found = calibrate(machine, physicians, patients(400), resamples=300)
        assert found["skill"]["low"] > 0.3 and found["spearman"]["low"] > 0.6
        assert found["skill"]["low"] < found["skill"]["value"] < found["skill"]["high"]

    def test_noise_has_none(self):
        physicians = near_the_ceiling()
        found = calibrate(RANDOM.uniform(0, 5, 400), physicians, patients(400), resamples=300)
        assert found["skill"]["high"] < 0

    @given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 5)), min_size=1, max_size=30))
    def test_the_constant_is_the_best_there_is(self, some):
        values, weights = np.array([v for v, _ in some]), np.array([[float(w) for _, w in some]])
        best = constant_error(values, weights)[0]
        tries = [(weights[0] * np.abs(values - guess)).sum() / weights.sum() for guess in values]
        assert best == pytest.approx(min(tries), abs=1e-9)

    @settings(max_examples=30)
    @given(st.floats(0, 5), st.integers(0, 1000))
    def test_no_constant_is_above_0_in_any_resample(self, constant, seed):
        random = np.random.default_rng(seed)
        physicians, weights = random.integers(0, 11, 40) / 2, random.integers(0, 4, (50, 40)).astype(float)
        weights[:, 0] += 1
        found = skill(np.full(40, constant), physicians, weights)
        assert np.nanmax(found, initial=-1.0) <= 1e-12


class TestWhatCannotBeKnown:
    def test_few_texts_say_nothing(self):
        found = calibrate(np.ones(LEAST - 1), np.ones(LEAST - 1), np.arange(LEAST - 1))
        assert found["reason"] == TOO_FEW.format(least=LEAST) and "skill" not in found

    def test_no_text_at_all(self):
        found = calibrate(np.array([]), np.array([]), np.array([], dtype=int))
        assert (found["n"], found["curve"], found["reason"]) == (0, [], TOO_FEW.format(least=LEAST))

    def test_physicians_who_all_agree_leave_skill_undefined(self):
        found = calibrate(np.linspace(0, 5, 40), np.full(40, 5.0), patients(40), resamples=50)
        assert found["skill"]["value"] is None and "makes no error" in found["skill"]["reason"]
        assert found["mae"]["value"] == pytest.approx(2.5)

    def test_one_patient_has_no_interval(self):
        found = calibrate(np.linspace(0, 5, 40), np.linspace(1, 5, 40), np.zeros(40, dtype=int), resamples=50)
        assert found["mae"]["low"] is None and "one patient" in found["mae"]["reason"]


class TestCorrections:
    def test_a_shifted_and_squeezed_evaluator_is_set_right_on_the_other_half(self):
        physicians = RANDOM.uniform(0, 5, 400)
        machine = np.clip(2 + 0.4 * physicians + RANDOM.normal(0, 0.05, 400), 0, 5)
        found = calibrate(machine, physicians, patients(400), resamples=200)
        for way in ("linear", "isotonic"):
            assert found[way]["mae"]["value"] < 0.3 < found["mae"]["value"]
            assert found[way]["skill"]["low"] > 0.7

    def test_a_correction_that_fits_noise_helps_nobody(self):
        """Tried on the texts it was fitted on, isotonic regression would show skill here."""
        physicians, machine = RANDOM.uniform(0, 5, 60), RANDOM.uniform(0, 5, 60)
        found = calibrate(machine, physicians, np.arange(60), resamples=200)
        x, y = fit_steps(machine, physicians)
        inside = np.abs(np.interp(machine, x, y) - physicians).mean()
        assert found["isotonic"]["mae"]["value"] > inside
        assert found["isotonic"]["skill"]["low"] < 0.1

    def test_steps_never_turn_the_order_round(self):
        machine = RANDOM.integers(0, 6, 100).astype(float)
        _, y = fit_steps(machine, RANDOM.uniform(0, 5, 100))
        assert len(y) == 6 and (np.diff(y) >= -1e-12).all()


def test_the_interval_counts_patients_and_not_texts():
    """Ten copies of every text are no more evidence than one."""
    physicians = near_the_ceiling(60)
    machine = np.clip(physicians + RANDOM.normal(0, 0.5, 60), 0, 5)
    once = calibrate(machine, physicians, np.arange(60), resamples=500)
    copied = calibrate(np.repeat(machine, 10), np.repeat(physicians, 10), np.repeat(np.arange(60), 10), resamples=500)
    assert copied["mae"]["value"] == pytest.approx(once["mae"]["value"])
    width = [one["mae"]["high"] - one["mae"]["low"] for one in (once, copied)]
    assert width[1] == pytest.approx(width[0], rel=0.05)


class TestKappa:
    def test_it_is_the_table_s_kappa_of_whole_levels_and_of_means(self):
        for machine in (RANDOM.integers(0, 6, 80).astype(float), RANDOM.uniform(0, 5, 80)):
            physicians = np.clip(np.round(machine + RANDOM.normal(0, 1, 80)), 0, 5)
            found = calibrate(machine, physicians, np.arange(80), resamples=200)["kappa"]
            assert found["value"] == pytest.approx(quadratic_kappa(machine.tolist(), physicians.tolist()), abs=1e-12)
            assert found["low"] < found["value"] < found["high"]

    def test_weights_count_a_text_as_often_as_it_was_drawn(self):
        machine, physicians = RANDOM.integers(0, 6, 30).astype(float), RANDOM.integers(0, 6, 30).astype(float)
        often = RANDOM.integers(0, 4, 30)
        drawn = quadratic_kappa(np.repeat(machine, often).tolist(), np.repeat(physicians, often).tolist())
        assert kappa(machine, physicians, often[None, :].astype(float))[0] == pytest.approx(drawn, abs=1e-12)

    def test_one_and_the_same_score_throughout_has_none(self):
        found = calibrate(np.full(20, 4.0), np.full(20, 4.0), np.arange(20), resamples=50)["kappa"]
        assert found == {"value": None, "low": None, "high": None, "reason": NO_KAPPA}


def test_the_curve_accounts_for_every_text():
    physicians, machine = near_the_ceiling(100), RANDOM.uniform(0, 5, 100)
    machine[:2] = 5.0
    rows = calibrate(machine, physicians, np.arange(100), resamples=50)["curve"]
    assert sum(row["n"] for row in rows) == 100
    assert all(row["from"] <= row["machine"] <= row["to"] for row in rows)
    top = physicians[machine >= 4.5]
    assert rows[-1]["physicians"] == mean_interval(top.tolist(), scale=(0.0, 5.0)).as_dict()
    assert rows[-1]["physicians"]["low"] < top.mean() < rows[-1]["physicians"]["high"] <= 5
