"""Holm against statsmodels, letters and ranks by hand and by their definition on random outcomes."""

import random
from itertools import combinations

import pytest
from statsmodels.stats.multitest import multipletests

from scoring.multiple import holm, rank_ranges, tie_letters


def test_holm_agrees_with_statsmodels():
    rng = random.Random(3)
    for size in (1, 2, 15, 91):
        values = [rng.random() ** 3 for _ in range(size)]
        assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]), abs=1e-12)


def test_what_could_not_be_tested_is_no_member_of_the_family():
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert holm([]) == []


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])


def test_letters_and_ranks_by_hand():
    means = [2.5, 3.0, None, 2.9, 2.4]
    different = {(1, 0), (1, 4), (3, 4)}
    assert tie_letters(means, different) == ["bc", "a", "", "ab", "c"]
    assert rank_ranges(means, different) == [(2, 4), (1, 2), None, (1, 3), (3, 4)]


def test_without_a_proven_difference_everybody_shares_every_rank():
    assert tie_letters([1.0, 2.0], set()) == ["a", "a"]
    assert rank_ranges([1.0, 2.0], set()) == [(1, 2), (1, 2)]


def test_two_share_a_letter_exactly_where_they_do_not_differ():
    rng = random.Random(9)
    for _ in range(100):
        means = [rng.random() for _ in range(8)]
        different = {pair for pair in combinations(range(8), 2) if rng.random() < 0.4}
        letters = tie_letters(means, different)
        for pair in combinations(range(8), 2):
            assert bool(set(letters[pair[0]]) & set(letters[pair[1]])) == (pair not in different)
