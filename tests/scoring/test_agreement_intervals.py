"""Intervals of agreement: what is undefined says why, the same seed gives the same, and the truth is covered."""

import numpy as np
import pytest

from bench.stats_coverage import coverage_of_alpha, simulated, true_alpha
from scoring.agreement.ac2 import GwetAC2
from scoring.agreement.alpha import OrdinalAlpha
from scoring.agreement.bootstrap import estimate, point
from scoring.agreement.icc import AbsoluteICC
from scoring.agreement.kappa import MeanKappa
from scoring.agreement.raters import consistency, rater_figures
from scoring.agreement.table import OVERALL_SCALE, SCALE, score_table
from scoring.agreement.within_one import WithinOne
from tests.scoring.agreement_matrix import table_from_matrix

NAN = float("nan")
ALL = [OrdinalAlpha(), MeanKappa(fewest=2), AbsoluteICC(average=False), GwetAC2(SCALE), WithinOne()]


@pytest.mark.parametrize("statistic", ALL, ids=lambda one: one.key)
def test_without_a_text_that_two_have_scored_there_is_no_value(statistic) -> None:
    found = estimate(statistic, table_from_matrix(np.array([[4, NAN], [NAN, 5]])))
    assert (found.value, found.low, found.reason) == (None, None, "no_pair")


@pytest.mark.parametrize("statistic", ALL[:3], ids=lambda one: one.key)
def test_one_level_throughout_is_undefined_and_not_zero(statistic) -> None:
    found = estimate(statistic, table_from_matrix(np.full((40, 3), 5.0)))
    assert (found.value, found.reason) == (None, "no_spread")


def test_near_the_ceiling_alpha_is_undefined_where_ac2_is_one() -> None:
    found = estimate(GwetAC2(SCALE), table_from_matrix(np.full((40, 3), 5.0)))
    assert (found.value, found.low, found.reason) == (1, None, "all_alike")


def test_kappa_needs_pairs_that_share_enough() -> None:
    found = estimate(MeanKappa(), table_from_matrix(np.array([[4.0, 5.0], [3.0, 3.0]] * 14)))
    assert (found.value, found.reason, found.texts) == (None, "few_pairs", 28)


def test_one_case_has_a_value_and_no_interval() -> None:
    table = table_from_matrix(np.array([[1.0, 2.0], [5.0, 4.0]]), cases=["a", "a"])
    found = estimate(OrdinalAlpha(), table)
    assert found.value is not None
    assert (found.low, found.reason, found.cases) == (None, "one_case", 1)


def test_a_spread_that_hangs_on_one_case_gives_no_interval() -> None:
    """Without that case every score is the same, so a third of the resamples has no α."""
    matrix = np.full((20, 2), 5.0)
    matrix[0] = [1, 1]
    found = estimate(OrdinalAlpha(), table_from_matrix(matrix))
    assert (found.value, found.low, found.reason) == (1, None, "unstable")
    assert found.undefined > 500


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    table = simulated(np.random.default_rng(3), 60)
    one, same, other = (estimate(OrdinalAlpha(), table, resamples=300, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert (one.low, one.high) != (other.low, other.high)


def test_cases_are_drawn_and_not_texts() -> None:
    """Ten copies of a text within each case tell nothing new, so the interval does not shrink."""
    table = simulated(np.random.default_rng(5), 40)
    copies = [(f"{item}.{copy}", rater, case, value) for copy in range(10) for item, rater, case, value in rows(table)]
    found = estimate(OrdinalAlpha(), table)
    many = estimate(OrdinalAlpha(), score_table(*zip(*copies, strict=True)))
    assert width(many) == pytest.approx(width(found), rel=0.05)


def rows(table) -> list[tuple]:
    return list(zip(table.items, table.raters, table.cases, table.values, strict=True))


def width(found) -> float:
    return found.high - found.low


def test_every_coefficient_is_near_its_truth_on_a_large_study() -> None:
    table = simulated(np.random.default_rng(11), 20_000)
    assert point(OrdinalAlpha(), table) == pytest.approx(true_alpha(), abs=0.01)


def test_intervals_of_alpha_cover_the_truth() -> None:
    """The full figure is `make bench-stats_coverage`; 300 studies of 100 cases tell 80 % from 95 %."""
    assert 0.90 < coverage_of_alpha(100, 300, seed=1, resamples=400) < 0.99


def test_a_score_off_the_scale_and_a_rater_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="not a level"):
        score_table([0], [0], [0], [2.5])
    with pytest.raises(ValueError, match="more than once"):
        score_table([0, 0], [1, 1], [0, 0], [2, 3])
    assert score_table([0], [0], [0], [13 / 6], OVERALL_SCALE).levels.tolist() == [13]


def test_severity_is_against_the_others_on_the_same_texts() -> None:
    """Rater 0 gives one point less than the two others, and half a point less still in the later half."""
    random = np.random.default_rng(2)
    quality = random.integers(3, 6, size=80).astype(float)
    matrix = np.stack([quality - 1, quality, quality], axis=1)
    matrix[40:, 0] -= 1
    matrix[[3, 50], [0, 0]] += [1, -1]  # without any spread there would be no interval
    matrix[0, 1:] = NAN  # a text that she alone has scored says nothing
    table = table_from_matrix(matrix)
    found = rater_figures(table, np.arange(table.size))
    assert found[0].texts == 79
    assert found[0].severity.mean == pytest.approx(-(39 + 80) / 79)
    assert found[0].drift.mean == pytest.approx(-1, abs=0.08)
    assert found[0].drift.high is not None and found[0].drift.high < 0
    assert found[1].severity.mean == pytest.approx((39 * 0.5 + 40 * 1) / 79)


def test_consistency_compares_what_she_gave_both_times() -> None:
    first = [{"accuracy": 5.0, "safety": 4.0}, {"accuracy": 1.0, "safety": None}]
    second = [{"accuracy": 5.0, "safety": 2.0}, {"accuracy": 2.0, "safety": 5.0}]
    found = consistency(list(zip(first, second, strict=True)))
    assert found.texts == 2
    assert found.within_one == pytest.approx(2 / 3)
    assert consistency([]).kappa is None
