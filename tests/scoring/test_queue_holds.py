"""Soft holds, heartbeats, two pages of one rater, and what a claim costs."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring.models import Assignment, Enrolment
from scoring.services.queue import SOFT_HOLD, claim_next, hold_next, renew_lease
from scoring.services.releasing import reclaim_slots
from scoring.services.studies import set_study_state, withdraw
from tests.factories import claim, make_administrator, make_case, make_queue, make_rater, make_study, rate

pytestmark = pytest.mark.django_db
State = Assignment.State


def hold(study, rater):
    held = hold_next(study=study, rater=rater)
    assert held is not None
    return held


def lapse(slot) -> None:
    Assignment.objects.filter(pk=slot.pk).update(lease_expires=timezone.now() - timedelta(seconds=1))


def test_what_was_fetched_ahead_comes_next() -> None:
    study = make_study()
    make_queue(study, 3)
    rater = make_rater(study)
    first, ahead = claim(study, rater), hold(study, rater)
    assert ahead != first
    assert hold(study, rater) == ahead
    assert rate(study, rater).assignment == first
    after = claim(study, rater)
    assert after == ahead
    assert after.state == State.CLAIMED
    assert after.sequence == 2


def test_a_hold_keeps_nobody_waiting() -> None:
    study = make_study(overlap=1)
    make_queue(study, 2)
    busy, other = make_rater(study), make_rater(study)
    claim(study, busy)
    ahead = hold(study, busy)
    assert claim(study, other) == ahead
    assert hold_next(study=study, rater=busy) is None
    rate(study, busy)
    assert claim_next(study=study, rater=busy) is None


def test_a_hold_is_not_taken_while_something_else_is_free() -> None:
    study = make_study(overlap=1)
    make_queue(study, 3)
    busy, other = make_rater(study), make_rater(study)
    claim(study, busy)
    ahead = hold(study, busy)
    assert claim(study, other) != ahead
    assert hold_next(study=study, rater=make_rater(study)) is None
    ahead.refresh_from_db()
    assert ahead.rater == busy


def test_a_hold_ends_soon_after_its_page_and_lives_with_its_heartbeat() -> None:
    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    slot, ahead = claim(study, rater), hold(study, rater)
    assert ahead.lease_expires - timezone.now() <= SOFT_HOLD < timedelta(minutes=study.lease_minutes)
    Assignment.objects.update(lease_expires=timezone.now() + timedelta(seconds=1))
    assert renew_lease(assignment=slot, rater=rater)
    slot.refresh_from_db()
    ahead.refresh_from_db()
    assert slot.lease_expires > ahead.lease_expires > timezone.now() + SOFT_HOLD / 2
    lapse(ahead)
    other = make_rater(study)
    taken = claim(study, other)
    ahead.refresh_from_db()
    assert (ahead.state, ahead.rater) == ((State.CLAIMED, other) if taken == ahead else (State.OPEN, None))


def test_a_heartbeat_after_the_lease_went_to_another_says_no() -> None:
    study = make_study(overlap=1)
    make_queue(study, 1)
    first, second = make_rater(study), make_rater(study)
    slot = claim(study, first)
    lapse(slot)
    assert renew_lease(assignment=slot, rater=first), "nobody has taken it: it is still hers"
    lapse(slot)
    claim(study, second)
    assert not renew_lease(assignment=slot, rater=first)


def test_one_claim_and_one_hold_per_rater_and_study() -> None:
    """The constraint behind two pages that ask in the same instant."""
    study = make_study()
    make_queue(study, 4)
    rater = make_rater(study)
    slot, ahead = claim(study, rater), hold(study, rater)
    free = Assignment.objects.filter(state=State.OPEN).exclude(version__in=[slot.version, ahead.version]).first()
    for state in (State.CLAIMED, State.HELD):
        with pytest.raises(IntegrityError), transaction.atomic():
            Assignment.objects.filter(pk=free.pk).update(state=state, rater=rater)


def test_withdrawing_frees_what_she_had() -> None:
    study = make_study(overlap=1)
    make_queue(study, 2)
    rater, other = make_rater(study), make_rater(study)
    claim(study, rater)
    hold(study, rater)
    withdraw(study=study, rater=rater)
    assert Assignment.objects.filter(state=State.OPEN).count() == 2
    assert rate(study, other) and rate(study, other)


def test_an_administrator_reclaims_slots() -> None:
    study = make_study(overlap=1)
    make_queue(study, 1)
    rater, other = make_rater(study), make_rater(study)
    slot = claim(study, rater)
    assert reclaim_slots(study=study, rater=rater, actor=make_administrator()) == 1
    assert claim(study, other) == slot
    assert not renew_lease(assignment=slot, rater=rater)


def test_a_paused_study_gives_nothing_and_resumes() -> None:
    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    slot = claim(study, rater)
    study = set_study_state(study=study, actor=make_administrator(), state="paused")
    for ask in (claim_next, hold_next):
        with pytest.raises(ValidationError, match="paused"):
            ask(study=study, rater=rater)
    study = set_study_state(study=study, actor=make_administrator(), state="running")
    assert claim(study, rater) == slot


def test_who_wrote_an_earlier_version_is_not_given_the_next() -> None:
    """Her rating of it would not count, so the slot would be lost."""
    from scoring.services.narratives import revise_version
    from scoring.services.queue import enqueue_versions
    from tests.factories import make_version

    study = make_study()
    rater, colleague = make_rater(study), make_rater(study)
    hers = revise_version(version=make_version(), text="<answer> Naevus. </answer>", author=rater)
    theirs = revise_version(version=hers, text="<answer> Blue naevus. </answer>", author=colleague)
    enqueue_versions(study=study, versions=[theirs], actor=None)
    assert claim_next(study=study, rater=rater) is None
    assert claim(study, make_rater(study)).version == theirs


def test_a_claim_costs_the_same_however_long_the_queue() -> None:
    study = make_study()
    case = make_case(image=False)
    make_queue(study, 2, case=case)
    raters = [make_rater(study) for _ in range(2)]

    def queries(rater) -> int:
        with CaptureQueriesContext(connection) as seen:
            claim(study, rater)
        return len(seen)

    few = queries(raters[0])
    make_queue(study, 30, case=case)
    assert queries(raters[1]) == few <= 9


def test_the_next_slot_is_found_by_the_index_in_its_order() -> None:
    """SQLite's planner shows it whatever the size; on PostgreSQL a small table is read as a whole."""
    if connection.vendor != "sqlite":
        pytest.skip("the plan of a small table says nothing here")
    study = make_study()
    make_queue(study, 2)
    with CaptureQueriesContext(connection) as seen:
        claim(study, make_rater(study))
    taken = next(q["sql"] for q in seen if "ORDER BY a.priority DESC" in q["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {taken}")
        plan = [row[3] for row in cursor.fetchall()]
    assert any("USING INDEX open_slots_in_order" in step for step in plan)
    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step]


def test_the_settings_version_is_kept_with_the_slot() -> None:
    from scoring.services.amendments import amend_study

    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    first = claim(study, rater)
    amend_study(study=study, actor=make_administrator(), reason="Blind.", changes={"reveal": "never"})
    study.refresh_from_db()
    assert claim(study, rater) == first
    assert first.settings_version == 1
    rate(study, rater)
    assert claim(study, rater).settings_version == 2
    assert Enrolment.objects.get(rater=rater).may_rate
