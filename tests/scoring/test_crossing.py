"""Crossed studies: the same raters see every text of a case, in random order, far apart."""

import itertools

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Assignment, Rating
from scoring.services.queue import claim_next, enqueue_versions, skip_assignment
from scoring.services.studies import withdraw
from tests.factories import claim, make_case, make_rater, make_study, make_version, rate

pytestmark = pytest.mark.django_db


def crossed(cases: int, *, arms: int = 2, raters: int = 2, gap: int = 2, overlap: int = 2):
    study = make_study(crossed=True, minimum_gap=gap, overlap=overlap)
    versions = [make_version(case=case) for case in [make_case(image=False) for _ in range(cases)] for _ in range(arms)]
    enqueue_versions(study=study, versions=versions, actor=None)
    return study, [make_rater(study) for _ in range(raters)]


def rate_all(study, raters) -> None:
    """The raters take turns until nobody is given anything more."""
    waiting = list(raters)
    for rater in itertools.cycle(raters):
        if not waiting:
            return
        if rater in waiting:
            if claim_next(study=study, rater=rater) is None:
                waiting.remove(rater)
            else:
                rate(study, rater)


def test_each_case_has_the_same_raters_for_all_its_texts() -> None:
    study, raters = crossed(4, arms=3, raters=4, gap=0)
    rate_all(study, raters)
    assert Rating.objects.count() == 4 * 3 * 2
    seen: dict[int, dict[int, set[int]]] = {}
    for case, version, rater in Assignment.objects.values_list("case", "version", "rater"):
        seen.setdefault(case, {}).setdefault(version, set()).add(rater)
    for by_version in seen.values():
        assert len(by_version) == 3
        assert len({frozenset(people) for people in by_version.values()}) == 1


def test_texts_of_one_case_lie_far_apart() -> None:
    """Only the last cases may be nearer: when every text left to a rater is of a case that she has just seen."""
    gap = 3
    study, raters = crossed(12, raters=2, gap=gap)
    rate_all(study, raters)
    assert Rating.objects.count() == 48
    for rater in raters:
        order = list(Assignment.objects.filter(rater=rater).order_by("sequence").values_list("case", flat=True))
        near = [place for place, case in enumerate(order) if case in order[max(0, place - gap) : place]]
        assert len(order) == 24 and len(near) <= gap
        for place in near:
            assert set(order[place:]) <= set(order[place - gap : place]), "another case was left"


def test_the_gap_gives_way_when_nothing_else_is_left() -> None:
    study, raters = crossed(1, raters=2, gap=5)
    rate_all(study, raters)
    assert Rating.objects.count() == 4


def test_the_order_of_the_texts_differs_between_raters() -> None:
    study, raters = crossed(12, raters=2, gap=0)
    rate_all(study, raters)
    orders = [
        {
            slot.case_id: slot.version_id
            for slot in Assignment.objects.filter(rater=rater).order_by("-sequence")  # the first one stays
        }
        for rater in raters
    ]
    assert 0 < sum(orders[0][case] == orders[1][case] for case in orders[0]) < 12


def test_a_text_that_comes_later_goes_to_who_saw_the_first() -> None:
    study, (rater, other) = crossed(1, arms=1, overlap=1, gap=0)
    first = rate(study, rater)
    enqueue_versions(study=study, versions=[make_version(case=first.version.narrative.case)], actor=None)
    assert claim_next(study=study, rater=other) is None
    assert claim(study, rater).case == first.assignment.case


def test_skipping_the_first_text_passes_the_whole_row_on() -> None:
    study, (rater, other) = crossed(1, overlap=1, gap=0)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="outside_expertise")
    rate_all(study, [other])
    assert Rating.objects.filter(rater=other).count() == 2


def test_who_leaves_half_way_starves_nobody() -> None:
    study, (rater, other) = crossed(1, overlap=1, gap=0)
    rate(study, rater)
    assert claim_next(study=study, rater=other) is None, "the second text is reserved"
    withdraw(study=study, rater=rater)
    rate_all(study, [other])
    assert Assignment.objects.filter(state="submitted").count() == 2


def test_a_crossed_study_cannot_be_in_order() -> None:
    with pytest.raises(ValidationError, match="random order"):
        make_study(crossed=True, strategy="in_order")
