"""Many raters at once: exactly the overlap, nobody twice, nobody starved; and the check sees each defence missing.

The same raters as `make bench-queue`, fewer of them.
"""

import threading
import time

import pytest
from django.core.management import call_command

from bench.queue import TWINS as SIGNS
from bench.queue_raters import Diary, Habits, add_narratives, outcome_of, rate_until_done, settle_flags
from bench.queue_twins import TWINS, restore_constraints
from tests.factories import make_administrator, make_rater, make_study

pytestmark = pytest.mark.django_db(transaction=True)


def run(tmp_path, habits, *, raters=5, narratives=10, pages=1, seconds=60.0):
    study = make_study(overlap=3)
    add_narratives(study, narratives)
    people, administrator = [make_rater(study) for _ in range(raters)], make_administrator()
    diary, until = Diary(tmp_path / "diary"), time.monotonic() + seconds

    def work(rater, seed) -> None:
        rate_until_done(study, rater, habits=habits, seed=seed, diary=diary, until=until)

    threads = [
        threading.Thread(target=work, args=(rater, 10 * number + page))
        for number, rater in enumerate(people)
        for page in range(pages)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        settle_flags(study, administrator)
        time.sleep(0.1)
    return outcome_of(study, [diary.path])


def test_exactly_the_overlap_for_everyone(tmp_path) -> None:
    outcome = run(tmp_path, Habits(flag=0.02), pages=2)
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
        outcome = run(tmp_path, habits, raters=6, narratives=6, seconds=3.0)
    assert getattr(outcome, SIGNS[name]) > 0, outcome
    assert not outcome.holds


def test_the_check_sees_the_constraints_missing(tmp_path, constraints) -> None:
    with TWINS["no unique constraint"]() as habits:
        outcome = run(tmp_path, habits, raters=4, narratives=6, pages=2, seconds=3.0)
    assert outcome.duplicates, outcome
