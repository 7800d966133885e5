"""The queue with one defence switched off: what the check must notice, or it proves nothing.

Each twin changes the product's services in this process for as long as it is entered; constraints that one drops
stay dropped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.db import connection, models

from bench.queue_raters import Habits
from scoring.models import Assignment, Rating
from scoring.services import queue, slots

PREEMPTED_S = 0.02  # between looking and taking, as when the system lets another process run
UNIQUE = (
    (Assignment, "one_live_assignment_per_rater_and_version"),
    (Assignment, "one_claim_per_rater_and_study"),
    (Assignment, "one_soft_hold_per_rater_and_study"),
    (Rating, "one_live_rating_per_rater_and_version"),
    (Rating, "one_current_rating_per_assignment"),
    (Rating, "one_first_rating_per_assignment"),
)


@contextmanager
def no_conditional_update() -> Iterator[Habits]:
    """Look for a free slot, then take it, whoever has taken it in between."""
    with _looks_before_it_takes():
        yield Habits(read_s=0.1)


@contextmanager
def no_unique_constraint() -> Iterator[Habits]:
    """The same behind no constraint: a rater with two pages gets two slots of one text."""
    with connection.schema_editor() as editor:
        for model, constraint in unique_constraints():
            editor.remove_constraint(model, constraint)
    with _looks_before_it_takes():
        yield Habits()


@contextmanager
def no_lease_check() -> Iterator[Habits]:
    """Whatever is claimed counts as lapsed."""
    with patch.object(slots, "EXPIRED", slots.EXPIRED.replace("lease_expires < %(now)s", "1 = 1")):
        yield Habits(read_s=0.1)


@contextmanager
def no_client_uuid() -> Iterator[Habits]:
    """Each try of a submission comes under an id of its own, so that a retry is not known for one."""
    yield Habits(fresh_uuid=True, post_again=0.3, post_twice_at_once=0.3)


TWINS = {
    "no conditional update": no_conditional_update,
    "no unique constraint": no_unique_constraint,
    "no lease check": no_lease_check,
    "no client uuid": no_client_uuid,
}


@contextmanager
def _looks_before_it_takes() -> Iterator[None]:
    def take(seeker: Any, choice: str, state: str, now: datetime, lease: datetime, **_: Any) -> Assignment | None:
        names, values = slots._names_and_values(seeker)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {choice.format(lock='', **names)}", values)
            found = cursor.fetchone()[0]
        time.sleep(PREEMPTED_S)
        if found is None:
            return None
        Assignment.objects.filter(pk=found).update(state=state, rater=seeker.rater, claimed_at=now, lease_expires=lease)
        return Assignment.objects.get(pk=found)

    with patch.object(slots, "_take", take), patch.object(queue, "_at_once", queue._at_once.__wrapped__):  # type: ignore[attr-defined]
        yield


def restore_constraints() -> None:
    """After `no_unique_constraint`, in a database that is used again. The tables must hold no duplicates by now."""
    with connection.schema_editor() as editor:
        for model, constraint in unique_constraints():
            editor.add_constraint(model, constraint)


def unique_constraints() -> list[tuple[type[models.Model], models.BaseConstraint]]:
    return [(model, one) for model, name in UNIQUE for one in model._meta.constraints if one.name == name]
