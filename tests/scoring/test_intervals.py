"""Intervals against published figures and scipy's own; undefined cases are stated."""

import math
import random

import pytest
from scipy import stats

from scoring.intervals import NO_SPREAD, NO_VALUE, ONE_CLUSTER, crossed_interval, mean_interval, paired_interval


def test_agrees_with_scipys_t_interval():
    values = [3.0, 4.5, 5.0, 2.0, 4.0, 4.0, 3.5]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n == 7 and found.mean == pytest.approx(26 / 7)


def test_students_sleep_data():
    """Student (1908): extra hours of sleep, ten patients, two drugs; difference 1.58, 95 % 0.70 to 2.46."""
    first = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
    second = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))
    found = paired_interval(first, second)
    assert (found.mean, found.low, found.high) == pytest.approx((1.58, 0.7001, 2.4599), abs=1e-4)


def test_only_shared_cases_are_compared():
    found = paired_interval({"a": 1.0, "b": 2.0, "c": 5.0}, {"b": 4.0, "a": 2.0, "d": 0.0})
    assert (found.n, found.mean) == (2, 1.5)


def test_a_repeated_patient_does_not_narrow_the_interval():
    values, patients = [1.0, 3.0, 4.0, 5.0], ["a", "b", "c", "d"]
    once, doubled = mean_interval(values, patients), mean_interval(values * 2, patients * 2)
    assert (doubled.low, doubled.high) == pytest.approx((once.low, once.high))
    naive = mean_interval(values * 2)
    assert naive.high - naive.low < doubled.high - doubled.low


def test_95_in_100_intervals_cover_the_mean():
    rng = random.Random(7)
    covered = 0
    for _ in range(400):
        patients = [rng.gauss(3, 1) for _ in range(12)]
        labels = [p for p in range(12) for _ in range(3)]
        found = mean_interval([patients[p] + rng.gauss(0, 0.3) for p in labels], labels)
        covered += found.low <= 3 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("values", "clusters", "mean", "reason"),
    [
        ([], None, None, NO_VALUE),
        ([4.0], None, 4.0, ONE_CLUSTER),
        ([4.0, 2.0], ["a", "a"], 3.0, ONE_CLUSTER),
        ([5.0, 5.0, 5.0], None, 5.0, NO_SPREAD),
    ],
)
def test_what_is_not_known_is_none_with_a_reason(values, clusters, mean, reason):
    found = mean_interval(values, clusters)
    assert (found.n, found.mean, found.low, found.high, found.reason) == (len(values), mean, None, None, reason)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="cluster labels"):
        mean_interval([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="finite"):
        mean_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="outside the scale"):
        mean_interval([1.0, 5.5], scale=(0, 5))


def test_an_interval_never_passes_the_ends_of_the_scale():
    near_the_top = [5.0] * 19 + [1.0]
    assert mean_interval(near_the_top).high > 5
    found = mean_interval(near_the_top, scale=(0, 5))
    assert 0 < found.low < found.mean < found.high < 5


def test_in_the_middle_of_the_scale_the_ends_change_little():
    values = [2.0, 3.0] * 200
    plain, held = mean_interval(values), mean_interval(values, scale=(0, 5))
    assert (held.low, held.high) == pytest.approx((plain.low, plain.high), abs=1e-4)


def test_a_shares_interval_is_the_logit_interval():
    """30 of 40: logit 1.0986, standard error of the share √(.75·.25/39), of its logit that over .75·.25; t(39)."""
    found = mean_interval([1.0] * 30 + [0.0] * 10, scale=(0, 1))
    half = stats.t.ppf(0.975, 39) * (0.75 * 0.25 / 39) ** 0.5 / (0.75 * 0.25)
    expected = [1 / (1 + 3**-1 * math.exp(sign * half)) for sign in (1, -1)]
    assert (found.low, found.high) == pytest.approx(expected)


def crossed_scores(rng: random.Random, cases: int, raters: int) -> tuple[list[float], list[int], list[int]]:
    """Every rater scores every case: case spread 0.6, severity 0.6, noise 0.4, true mean 3."""
    hard = [rng.gauss(0, 0.6) for _ in range(cases)]
    strict = [rng.gauss(0, 0.6) for _ in range(raters)]
    cells = [(case, rater) for case in range(cases) for rater in range(raters)]
    return [3 + hard[c] + strict[r] + rng.gauss(0, 0.4) for c, r in cells], *map(list, zip(*cells, strict=True))


def test_raters_who_differ_widen_the_interval_and_cases_alone_would_miss():
    rng, crossed, cases_alone = random.Random(5), 0, 0
    for _ in range(200):
        values, cases, raters = crossed_scores(rng, cases=25, raters=8)
        both, alone = crossed_interval(values, cases, raters).interval, mean_interval(values, cases)
        crossed += both.low <= 3 <= both.high
        cases_alone += alone.low <= 3 <= alone.high
    assert 0.91 <= crossed / 200 <= 0.99 and cases_alone / 200 < 0.8


def test_too_few_raters_speak_for_themselves_only():
    values, cases, raters = crossed_scores(random.Random(1), cases=25, raters=3)
    found = crossed_interval(values, cases, raters)
    assert found.these_raters_only and (found.clusters, found.raters) == (25, 3)
    assert found.interval == mean_interval(values, cases)
