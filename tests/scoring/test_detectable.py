"""The detectable difference against statsmodels' power, and tried out on simulated comparisons."""

import random

import pytest
from statsmodels.stats.power import TTestPower

from scoring.detectable import detectable_difference
from scoring.intervals import mean_interval


def test_close_to_the_noncentral_t():
    exact = TTestPower().solve_power(nobs=100, alpha=0.05, power=0.8)  # in standard deviations
    assert detectable_difference(1 / 100**0.5, 99) == pytest.approx(exact, rel=0.01)
    shared = TTestPower().solve_power(nobs=100, alpha=0.05 / 91, power=0.8)
    assert detectable_difference(1 / 100**0.5, 99, comparisons=91) == pytest.approx(abs(shared), rel=0.02)


def test_it_is_found_four_times_in_five():
    rng, difference, found = random.Random(4), detectable_difference(0.1, 99), 0
    for _ in range(400):
        found += mean_interval([rng.gauss(difference, 1) for _ in range(100)]).low > 0
    assert 0.74 <= found / 400 <= 0.86


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="error above 0"):
        detectable_difference(0, 10)
