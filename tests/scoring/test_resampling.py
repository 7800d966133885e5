"""The paired bootstrap against scipy's with the same draws, against theory, and against its twin without clusters."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from scoring.intervals import NO_SPREAD, NO_VALUE, ONE_CLUSTER
from scoring.resampling import TOO_FEW, cluster_weights, paired_differences

PAIR = [(0, 1)]


def two_models(rng: np.random.Generator, cases: int, difference: float = 0.0) -> np.ndarray:
    shared = rng.normal(0, 1, cases)
    return np.array([3 + shared + rng.normal(0, 0.5, cases), 3 + difference + shared + rng.normal(0, 0.5, cases)])


def test_agrees_with_scipys_bootstrap_of_the_same_statistic():
    values = two_models(np.random.default_rng(3), 60, 0.2)
    (found,) = paired_differences(values, np.arange(60), PAIR, resamples=2000, seed=11)
    gain = values[1] - values[0]

    def studentised(sample, axis):
        return (sample.mean(axis) - gain.mean()) / (sample.std(axis, ddof=1) / np.sqrt(60))

    drawn = stats.bootstrap(
        (gain,), studentised, n_resamples=2000, batch=250, method="percentile", rng=np.random.default_rng(11)
    ).bootstrap_distribution
    quantile = np.sort(np.abs(drawn))[int(np.ceil(0.95 * 2001)) - 1]
    error = stats.sem(gain)
    assert (found.low, found.high) == pytest.approx(
        (gain.mean() - quantile * error, gain.mean() + quantile * error), abs=1e-9
    )
    assert found.p == pytest.approx((1 + (np.abs(drawn) >= gain.mean() / error).sum()) / 2001, abs=1e-12)


def test_in_large_samples_it_is_the_paired_t_test():
    values = two_models(np.random.default_rng(4), 2000, 0.03)
    (found,) = paired_differences(values, np.arange(2000), PAIR)
    test = stats.ttest_rel(values[1], values[0])
    interval = test.confidence_interval(0.95)
    assert found.mean == pytest.approx((values[1] - values[0]).mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.002)
    assert found.p == pytest.approx(test.pvalue, abs=0.02)


def coverage(rng: np.random.Generator, *, patients: int, clustered: bool, simulations: int = 200) -> float:
    """Three cases of each patient, whose difference is mostly the patient's; the truth is 0.3."""
    hits = 0
    labels = np.repeat(np.arange(patients), 3)
    for _ in range(simulations):
        gain = 0.3 + np.repeat(rng.normal(0, 1, patients), 3) + rng.normal(0, 0.4, 3 * patients)
        values = np.array([np.full(3 * patients, 1.0), 1.0 + gain])
        clusters = labels if clustered else np.arange(3 * patients)
        (found,) = paired_differences(values, clusters, PAIR, resamples=299)
        hits += found.low <= 0.3 <= found.high
    return hits / simulations


def test_intervals_cover_the_truth_when_patients_repeat():
    assert 0.91 <= coverage(np.random.default_rng(8), patients=40, clustered=True) <= 0.99


def test_the_twin_that_forgets_patients_misses_it():
    assert coverage(np.random.default_rng(8), patients=40, clustered=False) < 0.85


def test_zero_lies_outside_exactly_where_p_is_small():
    rng = np.random.default_rng(6)
    values = 3 + rng.normal(0, 1, (8, 50)) + np.arange(8)[:, None] * 0.1
    found = paired_differences(values, np.arange(50), list(combinations(range(8), 2)), resamples=999)
    assert any(pair.p <= 0.05 for pair in found) and any(pair.p > 0.05 for pair in found)
    assert all((pair.p <= 0.05) == (pair.low > 0 or pair.high < 0) for pair in found)


def test_only_shared_cases_count_and_each_pair_has_its_own():
    rng = np.random.default_rng(2)
    values = rng.normal(3, 1, (3, 60))
    values[1, :10] = np.nan
    values[2, 50:] = np.nan
    pairs = [(0, 1), (0, 2), (1, 2)]
    found = paired_differences(values, np.arange(60), pairs, resamples=499)
    assert [pair.n for pair in found] == [50, 50, 40]
    assert found[2].mean == pytest.approx((values[2, 10:50] - values[1, 10:50]).mean())


def test_a_repeated_patient_does_not_narrow_the_interval():
    values = two_models(np.random.default_rng(5), 30)
    (once,) = paired_differences(values, np.arange(30), PAIR, resamples=499)
    twice = paired_differences(np.tile(values, 2), np.tile(np.arange(30), 2), PAIR, resamples=499)[0]
    assert (twice.low, twice.high, twice.p) == pytest.approx((once.low, once.high, once.p))


def test_the_same_seed_gives_the_same_figures():
    values = two_models(np.random.default_rng(1), 40)
    first, again, other = (paired_differences(values, np.arange(40), PAIR, resamples=199, seed=s)[0] for s in (1, 1, 2))
    assert first == again and first != other


@pytest.mark.parametrize(
    ("right", "clusters", "reason"),
    [
        ([np.nan] * 4, [0, 1, 2, 3], NO_VALUE),
        ([2.0, 4.0, 1.0, 3.0], [0, 0, 0, 0], ONE_CLUSTER),
        ([2.0, 2.0, 2.0, 2.0], [0, 1, 2, 3], NO_SPREAD),
        ([2.0, 1.0, 1.0, 1.0], [0, 1, 2, 3], TOO_FEW),
    ],
)
def test_what_is_not_known_is_none_with_a_reason(right, clusters, reason):
    (found,) = paired_differences([[1.0] * 4, right], clusters, PAIR, resamples=199)
    assert (found.low, found.high, found.p, found.reason) == (None, None, None, reason)


def test_every_resample_draws_as_many_clusters_as_there_are():
    weights = cluster_weights(17, 50, np.random.default_rng(0))
    assert weights.shape == (50, 17) and (weights.sum(axis=1) == 17).all() and weights.min() == 0


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        paired_differences([[1.0, 2.0]], [1], PAIR)
    with pytest.raises(ValueError, match="infinite"):
        paired_differences([[1.0, np.inf], [1.0, 2.0]], [1, 2], PAIR)
