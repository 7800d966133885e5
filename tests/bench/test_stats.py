"""The bench's simulations know their truth, its intervals cover it, and the twin that ignores patients is found out."""

from functools import partial

import numpy as np
import pytest

from bench.stats_oracles import largest_differences
from bench.stats_simulation import (
    Setting,
    coverage,
    covers_difference,
    covers_human_mean,
    covers_mean,
    draw,
    expected,
    total_spread,
)

PATIENTS = Setting(180, per_patient=3)


@pytest.mark.parametrize("setting", [Setting(200_000), Setting(200_000, level=4.7, gain=0.2), PATIENTS])
def test_the_truth_is_what_many_cases_come_to(setting):
    many = Setting(200_001, setting.per_patient, setting.level, setting.gain)
    values, _ = draw(np.random.default_rng(1), many)
    truths = [expected(level, total_spread(many)) for level in (many.level, many.level + many.gain)]
    assert values.mean(axis=1) == pytest.approx(truths, abs=0.015)
    assert set(np.unique(values)) <= {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("trial", [covers_mean, covers_difference])
def test_intervals_cover_the_truth_and_the_twin_without_patients_does_not(trial):
    kept = coverage(partial(trial, setting=PATIENTS), 150, seed=3)
    without = coverage(partial(trial, setting=PATIENTS, clustered=False), 150, seed=3)
    assert 0.90 <= kept <= 0.99
    assert without < kept - 0.05


def test_human_means_cover_other_raters_too():
    assert 0.90 <= coverage(partial(covers_human_mean, setting=Setting(60)), 150, seed=4) <= 0.99


def test_other_packages_give_the_same_figures():
    differences = largest_differences(seed=5)
    assert len(differences) == 4 and max(differences.values()) < 1e-9
