"""More ratings for a share of the cases, drawn within strata."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Count

from scoring.models import Assignment
from scoring.services.amendments import amend_study
from scoring.services.queue import enqueue_versions
from tests.factories import make_administrator, make_case, make_rater, make_study, make_version, rate

pytestmark = pytest.mark.django_db


def slots_by_version(study):
    open_or_done = study.assignments.exclude(state="closed").values("version").annotate(n=Count("pk"))
    return {row["version"]: row["n"] for row in open_or_done}


def queued(study, number, **fields):
    versions = [make_version(case=make_case(image=False, **fields)) for _ in range(number)]
    enqueue_versions(study=study, versions=versions, actor=None)
    return [version.pk for version in versions]


def test_the_share_is_met_within_each_stratum() -> None:
    study = make_study(overlap=1, overlap_high=3, overlap_percent=25, overlap_by="skin_tone")
    light = queued(study, 8)
    dark = queued(study, 4, skin_tone="dark")
    slots = slots_by_version(study)
    assert sorted(slots[key] for key in light) == [1] * 6 + [3] * 2
    assert sorted(slots[key] for key in dark) == [1] * 3 + [3]


def test_adding_one_by_one_meets_it_too() -> None:
    study = make_study(overlap=1, overlap_high=2, overlap_percent=50)
    for _ in range(6):
        queued(study, 1)
    assert sorted(slots_by_version(study).values()) == [1, 1, 1, 2, 2, 2]


def test_all_texts_of_a_case_get_the_same() -> None:
    study = make_study(overlap=1, overlap_high=3, overlap_percent=50)
    for _ in range(4):
        case = make_case(image=False)
        enqueue_versions(study=study, versions=[make_version(case=case), make_version(case=case)], actor=None)
    per_case: dict[int, set[int]] = {}
    for slot in Assignment.objects.values("case", "version").annotate(n=Count("pk")):
        per_case.setdefault(slot["case"], set()).add(slot["n"])
    assert sorted(per_case.values(), key=min) == [{1}, {1}, {3}, {3}]


def test_an_amended_share_adds_and_closes_open_slots_only() -> None:
    study = make_study(overlap=1)
    keys = queued(study, 4)
    rater, administrator = make_rater(study), make_administrator()
    done = rate(study, rater)
    changes = {"overlap_high": 2, "overlap_percent": 100}
    amend_study(study=study, actor=administrator, reason="Pilot.", changes=changes)
    assert slots_by_version(study) == dict.fromkeys(keys, 2)
    study.refresh_from_db()
    amend_study(
        study=study, actor=administrator, reason="Enough.", changes={"overlap_high": None, "overlap_percent": 0}
    )
    assert slots_by_version(study) == dict.fromkeys(keys, 1)
    assert Assignment.objects.get(pk=done.assignment_id).state == "submitted"


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"overlap_percent": 20}, "overlap_high"),
        ({"overlap_high": 5}, "overlap_percent"),
        ({"overlap_high": 2, "overlap_percent": 20}, "overlap_high"),
    ],
)
def test_a_share_that_makes_no_sense_is_refused_at_its_field(fields, at) -> None:
    with pytest.raises(ValidationError) as refused:
        make_study(overlap=2, **fields)
    assert at in refused.value.message_dict
