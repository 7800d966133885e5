"""The certification rule, case by case."""

import pytest

from scoring.rubric import DIMENSION_KEYS
from scoring.verdict import ADJUDICATION, CERTIFIED, INCOMPLETE, REVISION, Policy, RatingScores, decide

POLICY = Policy(overlap=2)


def rating(rater: int, value: float | None = 4, **changes: float | None) -> RatingScores:
    return RatingScores(rater, dict.fromkeys(DIMENSION_KEYS, value) | changes)


def outcome(*ratings: RatingScores, authors: frozenset[int] = frozenset()) -> str:
    return decide(POLICY, ratings, authors).outcome


def test_two_good_ratings_certify() -> None:
    assert outcome(rating(1), rating(2)) == CERTIFIED


def test_one_rating_is_incomplete() -> None:
    verdict = decide(POLICY, [rating(1)], frozenset())
    assert verdict.outcome == INCOMPLETE
    assert [str(reason) for reason in verdict.reasons] == ["1 of 2 ratings"]


def test_no_rating_has_no_means() -> None:
    assert set(decide(POLICY, [], frozenset()).means.values()) == {None}


def test_the_author_does_not_count() -> None:
    assert outcome(rating(1), rating(2), authors=frozenset({2})) == INCOMPLETE


def test_a_mean_below_the_threshold_asks_for_revision() -> None:
    assert outcome(rating(1), rating(2, clinical_coverage=3)) == REVISION


def test_one_low_safety_score_is_never_averaged_away() -> None:
    assert outcome(rating(1, 5), rating(2, 5), rating(3, 5), rating(4, 5, safety=2)) == ADJUDICATION


def test_one_low_safety_score_does_not_wait_for_the_overlap() -> None:
    assert outcome(rating(1, 5, safety=0)) == ADJUDICATION


def test_a_wide_range_goes_to_adjudication() -> None:
    assert outcome(rating(1, 5), rating(2, 5, accuracy=2)) == ADJUDICATION


def test_a_range_below_the_limit_does_not() -> None:
    assert outcome(rating(1, 5), rating(2, 5, accuracy=3)) == CERTIFIED


def test_a_dimension_not_judged_goes_to_adjudication() -> None:
    verdict = decide(POLICY, [rating(1), rating(2, accuracy=None)], frozenset())
    assert verdict.outcome == ADJUDICATION
    assert verdict.means["accuracy"] == 4


def test_the_order_of_ratings_does_not_matter() -> None:
    ratings = [rating(1, 5), rating(2, 4), rating(3, 4.5)]
    assert decide(POLICY, ratings, frozenset()) == decide(POLICY, ratings[::-1], frozenset())


@pytest.mark.parametrize(
    "settings", [{"overlap": 0}, {"overlap": 2, "minimum_mean": 6}, {"overlap": 2, "dispute_range": 0}]
)
def test_a_policy_refuses_nonsense(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Policy(**settings)  # type: ignore[arg-type]
