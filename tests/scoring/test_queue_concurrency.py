"""Many raters at once: exactly the overlap, nobody twice, nobody starved; and the check sees each defence missing.

The same raters as `make bench-queue`, fewer of them.
"""

import threading
import time
from contextlib import suppress

import pytest
from django.core.management import call_command
from django.db import OperationalError

from bench.queue import TWINS as SIGNS
from bench.queue_raters import Diary, Habits, add_narratives, outcome_of, rate_until_done, settle_flags
from bench.queue_twins import TWINS, restore_constraints
from tests.factories import make_administrator, make_rater, make_study

pytestmark = pytest.mark.django_db(transaction=True)

LOOK_EVERY_S = 0.2
GIVE_UP_S = 240.0  # a bound, not a measure: the longest that a run ever took is a hundredth of it
PICKY = Habits(skip=0.2, flag=0.1)
PATIENT = Habits(skip=0.0, flag=0.0)


def run(tmp_path, habits, *, narratives, pages=1, until_seen=""):
    """One rater per entry of ``habits``, all at once, until all is rated, or what ``until_seen`` names has happened."""
    study = make_study(overlap=3)
    add_narratives(study, narratives)
    people, administrator = [make_rater(study) for _ in habits], make_administrator()
    diary, stop, until = Diary(tmp_path / f"diary-{study.pk}"), threading.Event(), time.monotonic() + GIVE_UP_S

    def work(rater, one, seed) -> None:
        rate_until_done(study, rater, habits=one, seed=seed, diary=diary, may_go_on=lambda: not stop.is_set())

    threads = [
        threading.Thread(target=work, args=(rater, one, 10 * number + page))
        for number, (rater, one) in enumerate(zip(people, habits, strict=True))
        for page in range(pages)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            with suppress(OperationalError):  # as on a page: she looks again
                settle_flags(study, administrator, diary)
            if until_seen and getattr(told(study, diary), until_seen):
                break
            time.sleep(LOOK_EVERY_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return told(study, diary)


def told(study, diary):
    with diary.lock:
        return outcome_of(study, [diary.path])


def run_until_seen(tmp_path, habits, sign, **how):
    """Runs until the sign shows: each shows it almost surely, however the threads happen to take turns."""
    for _round in range(5):
        outcome = run(tmp_path, habits, until_seen=sign, **how)
        if getattr(outcome, sign):
            break
    return outcome


def test_exactly_the_overlap_for_everyone(tmp_path) -> None:
    """Three never pass a text on, so there is always somebody left for each of its three slots."""
    outcome = run(tmp_path, [PICKY] * 2 + [PATIENT] * 3, narratives=10, pages=2)
    assert outcome.events["claim"] >= outcome.ratings == 30
    assert outcome.holds, outcome


@pytest.fixture
def constraints():
    """Put back, once what broke them is gone."""
    yield
    call_command("flush", interactive=False, verbosity=0)
    restore_constraints()


@pytest.mark.parametrize("name", [name for name, sign in SIGNS.items() if sign != "duplicates"])
def test_the_check_sees_a_defence_missing(tmp_path, name) -> None:
    with TWINS[name]() as habits:
        outcome = run_until_seen(tmp_path, [habits] * 6, SIGNS[name], narratives=6)
    assert getattr(outcome, SIGNS[name]) > 0, outcome
    assert not outcome.holds


def test_the_check_sees_the_constraints_missing(tmp_path, constraints) -> None:
    with TWINS["no unique constraint"]() as habits:
        outcome = run_until_seen(tmp_path, [habits] * 4, "duplicates", narratives=6, pages=2)
    assert outcome.duplicates, outcome
