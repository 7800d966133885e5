"""Prediction-powered means: as the authors' package, right on average, and honest where nothing can be said."""

import math

import numpy as np
import pytest

from scoring.intervals import t_quantile
from scoring.prediction_powered import LEAST, NO_SPREAD, ONE_CLUSTER, TOO_FEW, corrected_mean

# seed, noise, shift of the machine; ppi-python 0.2.3: ppi_mean_pointestimate and half of ppi_mean_ci over z
PACKAGE = [
    (1, 0.3, 0.4, 2.6471773785574513, 0.08477864339286902),
    (2, 1.5, -0.6, 2.4760689604771713, 0.19186557095916512),
    (3, 0.8, 0.0, 2.539889027496125, 0.10586352620171008),
]


def sample(seed: int, noise: float, shift: float, rated: int = 40, unrated: int = 400):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 11, rated + unrated) / 2
    machine = np.clip(truth + shift + random.normal(0, noise, rated + unrated), 0, 5)
    people = np.where(np.arange(rated + unrated) < rated, truth, np.nan)
    return machine, people


@pytest.mark.parametrize("seed, noise, shift, mean, error", PACKAGE)
def test_it_is_the_authors_package_s(seed, noise, shift, mean, error):
    """Their normal interval divides by n; ours is Student's t with the usual n − 1."""
    machine, people = sample(seed, noise, shift)
    found = corrected_mean(machine, people, np.arange(440))
    assert found["mean"] == pytest.approx(mean, abs=1e-9)
    reach = t_quantile(0.975, 39) * error * math.sqrt(40 / 39)
    assert (found["low"], found["high"]) == pytest.approx((mean - reach, mean + reach), abs=1e-9)


def test_the_bias_is_taken_out_and_the_raw_mean_stays_beside_it():
    machine, people = sample(7, 0.2, 0.8)
    truth = sample(7, 0.2, 0.8, rated=440, unrated=0)[1].mean()
    found = corrected_mean(machine, people, np.arange(440), scale=(0, 5))
    assert found["raw"] == pytest.approx(machine.mean()) and found["raw"] - truth > 0.5
    assert abs(found["mean"] - truth) < 0.2 and found["low"] < truth < found["high"]
    assert (found["n"], found["rated"], found["unrated"]) == (440, 40, 400) and found["bias"] > 0.5


def test_a_machine_that_says_nothing_has_no_weight_and_people_s_mean_remains():
    _, people = sample(8, 0.2, 0)
    found = corrected_mean(np.full(440, 3.0), people, np.arange(440))
    assert found["weight"] == 0 and found["mean"] == pytest.approx(np.nanmean(people))


def test_where_all_are_rated_it_is_people_s_mean():
    machine, people = sample(9, 0.5, 0.5, rated=50, unrated=0)
    found = corrected_mean(machine, people, np.arange(50))
    assert found["mean"] == pytest.approx(people.mean()) and found["weight"] == 0


def test_copies_of_a_patient_are_no_more_evidence():
    machine, people = sample(10, 0.5, 0.2)
    once = corrected_mean(machine, people, np.arange(440))
    copied = corrected_mean(np.repeat(machine, 5), np.repeat(people, 5), np.repeat(np.arange(440), 5))
    assert copied["mean"] == pytest.approx(once["mean"], abs=1e-3)
    assert copied["high"] - copied["low"] == pytest.approx(once["high"] - once["low"], rel=0.01)


class TestWhatCannotBeKnown:
    def test_few_rated_texts_correct_nothing(self):
        machine, people = sample(1, 0.5, 0, rated=LEAST - 1)
        found = corrected_mean(machine, people, np.arange(len(machine)))
        assert (found["mean"], found["low"], found["reason"]) == (None, None, TOO_FEW)
        assert found["raw"] == pytest.approx(machine.mean()) and found["rated"] == LEAST - 1

    def test_a_text_that_the_machine_could_not_score_is_left_out(self):
        machine, people = sample(1, 0.5, 0)
        machine[[0, 50]] = np.nan
        found = corrected_mean(machine, people, np.arange(440))
        assert (found["n"], found["rated"], found["unrated"]) == (438, 39, 399)

    def test_one_patient_and_one_score_have_no_interval(self):
        machine, people = sample(1, 0.5, 0)
        found = corrected_mean(machine, people, np.zeros(440))
        assert found["mean"] is not None and (found["low"], found["reason"]) == (None, ONE_CLUSTER)
        found = corrected_mean(np.full(60, 4.0), np.where(np.arange(60) < 40, 5.0, np.nan), np.arange(60), scale=(0, 5))
        assert (found["mean"], found["low"], found["reason"]) == (5.0, None, NO_SPREAD)

    def test_no_text_at_all(self):
        found = corrected_mean([], [], [])
        assert (found["n"], found["raw"], found["bias"], found["mean"]) == (0, None, None, None)

    def test_shapes_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="do not fit"):
            corrected_mean([1.0], [1.0, 2.0], [0])


def test_intervals_cover_the_truth():
    """1,000 simulated boards, 100 of 400 texts rated, patients of two, a machine whose bias depends on the level."""
    random = np.random.default_rng(20)
    covered, narrower = 0, 0
    for _ in range(1_000):
        patient = np.repeat(random.normal(0, 0.6, 200), 2)
        truth = np.clip(3.2 + patient + random.normal(0, 0.6, 400), 0, 5)
        machine = np.clip(0.5 + 0.9 * truth + random.normal(0, 0.4, 400), 0, 5)
        people = np.where(np.arange(400) < 100, np.clip(truth + random.normal(0, 0.3, 400), 0, 5), np.nan)
        found = corrected_mean(machine, people, np.repeat(np.arange(200), 2), scale=(0, 5))
        covered += found["low"] <= 3.1915 <= found["high"]  # the mean of clipped scores, from 10 million draws
        known = people[:100]
        sums = (known - known.mean()).reshape(50, 2).sum(axis=1) / 100
        alone = t_quantile(0.975, 49) * math.sqrt((sums**2).sum() * 50 / 49)
        narrower += found["high"] - found["low"] < 2 * alone
    assert 0.93 <= covered / 1_000 <= 0.97
    assert narrower > 950
