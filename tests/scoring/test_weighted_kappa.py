"""Weighted kappa against tables worked by hand."""

from itertools import product

import pytest

from scoring.weighted_kappa import best_of_levels, quadratic_kappa


def by_table(first, second, levels=range(6)):
    """The textbook's way: observed and expected tables, weights (i - j)²."""
    n = len(first)
    share = {
        (i, j): sum(x == i and y == j for x, y in zip(first, second, strict=True)) / n
        for i, j in product(levels, levels)
    }
    rows = {i: sum(share[i, j] for j in levels) for i in levels}
    columns = {j: sum(share[i, j] for i in levels) for j in levels}
    observed = sum((i - j) ** 2 * share[i, j] for i, j in share)
    expected = sum((i - j) ** 2 * rows[i] * columns[j] for i, j in share)
    return 1 - observed / expected


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        # 2 × 2 of 20, 5, 10, 15: observed 0.3, expected 0.5 (Cohen's own layout), κ = 0.4
        ([0] * 25 + [1] * 25, [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15, 0.4),
        # 0, 1, 2 against 1, 1, 1: mean square 2/3; by chance 2/3 too: no better than chance
        ([0, 1, 2], [1, 1, 1], 0.0),
        # all one off, 0 1 2 3 against 1 2 3 4: observed 1; by chance 3.5 + 7.5 - 2 × 1.5 × 2.5 = 3.5; κ = 5/7
        ([0, 1, 2, 3], [1, 2, 3, 4], 5 / 7),
        # turned round: observed (25 + 9 + 1 + 1 + 9 + 25)/6 = 35/3; by chance 2 × 55/6 - 2 × 6.25 = 35/6; κ = -1
        ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], -1.0),
        ([0, 3, 5], [0, 3, 5], 1.0),
    ],
)
def test_worked_by_hand(first, second, kappa) -> None:
    assert quadratic_kappa(first, second) == pytest.approx(kappa)
    assert quadratic_kappa(second, first) == pytest.approx(kappa)
    assert by_table(first, second) == pytest.approx(kappa)


def test_it_is_the_table_for_any_levels() -> None:
    import random

    dice = random.Random(3)
    for _ in range(50):
        n = dice.randint(2, 30)
        first, second = ([dice.randint(0, 5) for _ in range(n)] for _ in range(2))
        if len(set(first) | set(second)) > 1:
            assert quadratic_kappa(first, second) == pytest.approx(by_table(first, second))


def test_it_is_undefined_without_pairs_and_without_any_difference() -> None:
    assert quadratic_kappa([], []) is None
    assert quadratic_kappa([4, 4, 4], [4, 4, 4]) is None
    with pytest.raises(ValueError, match="pairs"):
        quadratic_kappa([1], [1, 2])


def test_the_best_of_two_levels_is_the_best_of_all_their_answers() -> None:
    agreed = [0, 1, 2, 3, 4, 5, 5, 2]
    answers = product((4, 5), repeat=len(agreed))
    every = [kappa for answer in answers if (kappa := quadratic_kappa(agreed, answer)) is not None]
    assert best_of_levels(agreed, 4, 5) == pytest.approx(max(every))
    assert best_of_levels([5, 5], 5, 5) is None
