"""The length slope against dummy-variable least squares, a known truth, and confounding by models."""

import numpy as np
import pytest

from scoring.length_slope import NO_LENGTHS, length_slope

CASES = np.arange(120)


def scores(rng, slope: float, levels=(0.0, 0.0, 0.0), longer=(0.0, 0.0, 0.0)):
    words = np.exp2(np.clip(8 + np.array(longer)[:, None] + rng.normal(0, 0.5, (3, 120)), 1, 12))
    case = rng.normal(0, 1, 120)
    values = 3 + np.array(levels)[:, None] + case + slope * np.log2(words) + rng.normal(0, 0.3, (3, 120))
    return values, words


def test_equals_least_squares_with_dummies_and_clustered_errors():
    values, words = scores(np.random.default_rng(1), 0.4)
    values[0, :9] = np.nan
    found = length_slope(values, words, CASES, model_effects=True)
    model, case = np.nonzero(~np.isnan(values))
    design = np.column_stack([np.log2(words[model, case]), model == 1, model == 2, np.eye(120)[case]]).astype(float)
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ values[model, case]
    rest = values[model, case] - design @ beta
    scored = np.array([design[case == one].T @ rest[case == one] for one in range(120)])
    error = np.sqrt((120 / 119 * inverse @ scored.T @ scored @ inverse)[0, 0])
    assert found.slope == pytest.approx(beta[0]) and found.n == 351
    assert found.high - found.slope == pytest.approx(1.980100 * error, rel=1e-5)  # t(119)


def test_models_that_are_longer_and_better_are_told_from_length():
    rng = np.random.default_rng(2)
    values, words = scores(rng, 0.0, levels=(0.0, 0.5, 1.0), longer=(0.0, 1.0, 2.0))
    pooled = length_slope(values, words, CASES, model_effects=False)
    own = length_slope(values, words, CASES, model_effects=True)
    assert pooled.low > 0.2 and own.low < 0 < own.high


def test_equal_lengths_say_nothing():
    found = length_slope(np.ones((2, 5)), np.full((2, 5), 100.0), np.arange(5), model_effects=False)
    assert (found.slope, found.reason) == (None, NO_LENGTHS)
    nothing = length_slope(np.full((2, 3), np.nan), np.full((2, 3), np.nan), np.arange(3), model_effects=True)
    assert (nothing.n, nothing.slope, nothing.reason) == (0, None, NO_LENGTHS)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        length_slope(np.ones((2, 3)), np.ones((2, 4)), np.arange(3), model_effects=False)
    with pytest.raises(ValueError, match="at least one word"):
        length_slope(np.ones((2, 3)), np.zeros((2, 3)), np.arange(3), model_effects=False)
