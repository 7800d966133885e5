"""Signs of how a rater works, exclusion by stated limits only, and breaks."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring.conduct import Given, kappa_of, late_drift, reading_seconds, signs
from scoring.models import Assignment, Certification, Enrolment, Rating
from scoring.rubric import DIMENSION_KEYS
from scoring.services.conduct import limits_passed, signs_of_raters, work_since_break
from scoring.services.exclusion import exclude_rater
from scoring.services.queue import claim_next
from tests.factories import claim, make_administrator, make_case, make_queue, make_rater, make_study, rate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(value, **changes):
    return dict.fromkeys(DIMENSION_KEYS, value) | changes


def given(*rows, apart=timedelta(minutes=2), seconds=60, reading=60.0):
    return [Given(NOON + number * apart, scores, seconds, reading) for number, scores in enumerate(rows)]


def test_reading_time_counts_words_and_chinese_characters() -> None:
    assert reading_seconds(" ".join(["word"] * 238)) == pytest.approx(60)
    assert reading_seconds("皮" * 260) == pytest.approx(60)
    assert reading_seconds("皮" * 130 + " word" * 119) == pytest.approx(60)
    assert reading_seconds("") == 0


def test_faster_than_reading_leaves_out_what_is_not_known() -> None:
    fast, slow, unknown = (given(row(3), seconds=s)[0] for s in (29, 30, None))
    assert signs([fast, slow, unknown], [], []).hasty == 50
    assert signs([unknown], [], []).hasty is None


def test_identical_rows_are_those_like_the_one_before() -> None:
    found = signs(given(row(4), row(4), row(4), row(4, safety=3), row(4)), [], [])
    assert found.identical == 50
    assert found.longest_run == 3
    assert signs(given(row(4)), [], []).identical is None


def test_late_drift_compares_ends_of_long_sessions_only() -> None:
    tired = given(*(row(5 - number // 4) for number in range(12)))
    assert late_drift(tired) == pytest.approx(-2)
    assert late_drift(tired[:11]) is None
    assert late_drift(given(*(row(5) for _ in range(12)), apart=timedelta(hours=1))) is None


def test_gold_and_repeats_are_weighted_kappas() -> None:
    pairs = [(row(level), row(level)) for level in (0, 2, 5)]
    found = signs([], pairs, [(row(1), row(2)), (row(4), row(5))])
    assert (found.gold, found.gold_number, found.repeat_number) == (1.0, 3, 2)
    assert found.gold_drift == 0
    assert found.repeats == kappa_of([(row(1), row(2)), (row(4), row(5))])
    assert signs([], [], []).gold is None


def test_gold_drift_is_the_later_half_less_the_earlier() -> None:
    pairs = [(row(3), row(3)), (row(3), row(3)), (row(3), row(5)), (row(3), row(4))]
    assert signs([], pairs, []).gold_drift == pytest.approx(1.5)


@pytest.mark.django_db
def test_a_rater_is_excluded_only_by_a_stated_limit() -> None:
    administrator = make_administrator()
    for limits in ({}, {"identical_limit": 100}, {"hasty_limit": 10}):
        study = make_study(**limits)
        make_queue(study, 3, case=make_case(image=False))
        rater = make_rater(study)
        for _ in range(3):
            rate(study, rater, 4)
        with pytest.raises(ValidationError, match="none of the study's stated limits"):
            exclude_rater(study=study, rater=rater, actor=administrator)
        assert Enrolment.objects.get(rater=rater).may_rate


@pytest.mark.django_db
def test_an_excluded_raters_slots_are_made_anew_and_her_ratings_count_no_more() -> None:
    study = make_study(overlap=2, identical_limit=40)
    versions = make_queue(study, 3, case=make_case(image=False))
    careless, careful, third = (make_rater(study) for _ in range(3))
    for number in range(3):
        rate(study, careless, 5)
        rate(study, careful, 5, safety=5 - number)
    assert Certification.objects.filter(is_current=True).count() == 3
    assert limits_passed(study, signs_of_raters(study)[careful.pk]) == []
    excluded = exclude_rater(study=study, rater=careless, actor=make_administrator())
    assert "100 % of the rows identical" in excluded.exclusion
    assert not Certification.objects.filter(is_current=True).exists()
    assert Rating.objects.live().count() == 3
    assert Rating.objects.filter(purpose="excluded", rater=careless).count() == 3
    with pytest.raises(ValidationError):
        claim_next(study=study, rater=careless)
    for _ in versions:
        rate(study, third, 5)
    assert claim_next(study=study, rater=third) is None
    live = Assignment.objects.filter(purpose="live", state="submitted").values_list("version", "slot")
    assert sorted(live) == sorted((version.pk, slot) for version in versions for slot in (1, 2))
    assert Certification.objects.filter(is_current=True).count() == 3
    with pytest.raises(ValidationError, match="already"):
        exclude_rater(study=study, rater=careless, actor=make_administrator())


@pytest.mark.django_db
def test_signs_take_the_same_number_of_questions_for_any_number_of_raters() -> None:
    study = make_study(overlap=5)
    make_queue(study, 2, case=make_case(image=False))

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert signs_of_raters(study)
        return len(seen)

    rate(study, make_rater(study))
    few = queries()
    for _ in range(3):
        rate(study, make_rater(study))
    assert queries() == few


@pytest.mark.django_db
def test_a_break_is_offered_after_the_studys_stretch_of_work() -> None:
    study = make_study(break_minutes=30)
    make_queue(study, 4, case=make_case(image=False))
    rater = make_rater(study)
    assert work_since_break(study=study, rater=rater) == work_since_break(study=study, rater=make_rater(study))
    now = timezone.now()
    for minutes_ago, seconds in ((90, 3600), (25, 900), (10, 600), (1, 420)):
        slot = claim(study, rater)
        done = rate(study, rater)
        Rating.objects.filter(pk=done.pk).update(
            created_at=now - timedelta(minutes=minutes_ago), active_seconds=seconds
        )
        assert done.assignment == slot
    spell = work_since_break(study=study, rater=rater)
    assert (spell.minutes, spell.ratings, spell.offer_break) == (32, 3, True)
    study.break_minutes = 33
    assert not work_since_break(study=study, rater=rater).offer_break
    study.break_minutes = 25  # an earlier rating filled it and offered the break
    assert not work_since_break(study=study, rater=rater).offer_break
    study.break_minutes = 16  # the second stretch is full
    assert work_since_break(study=study, rater=rater).offer_break
    study.break_minutes = 0
    assert not work_since_break(study=study, rater=rater).offer_break
