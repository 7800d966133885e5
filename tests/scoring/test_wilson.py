"""Wilson's interval equals scipy's and the published figures."""

import pytest
from scipy.stats import binomtest

from scoring.wilson import NOTHING, wilson


@pytest.mark.parametrize("n", [1, 2, 7, 30, 158, 656, 4000])
def test_it_is_scipy_s(n):
    for right in {0, 1, n // 3, n // 2, n - 1, n}:
        found = wilson(right, n)
        exact = binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert found["mean"] == right / n
        assert (found["low"], found["high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_published_preferences():
    """One clinician, 158 cases: only Coverage (114) and Coherence (103) differ from one half."""
    clear = {
        wins for wins in (72, 88, 91, 114, 103, 77) if not wilson(wins, 158)["low"] <= 0.5 <= wilson(wins, 158)["high"]
    }
    assert clear == {114, 103}


def test_nothing_is_unknown_and_not_0():
    assert wilson(0, 0) == {"n": 0, "right": 0, "mean": None, "low": None, "high": None, "reason": NOTHING}


@pytest.mark.parametrize("right, n", [(-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(right, n):
    with pytest.raises(ValueError, match="no share"):
        wilson(right, n)
