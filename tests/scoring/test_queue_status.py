"""What an administrator is told of the queue: what starves and why, and which rows of a crossed study are whole."""

import pytest

from scoring.services.queue import claim_next, enqueue_versions, hold_next, skip_assignment
from scoring.services.queue_status import counts_of, crossed_rows, next_slots, starving_versions
from scoring.strata import read_expertise
from tests.factories import claim, make_case, make_queue, make_rater, make_study, make_version, rate

pytestmark = pytest.mark.django_db


def test_nothing_starves_while_each_text_has_raters_enough() -> None:
    study = make_study(overlap=2)
    make_queue(study, 3, case=make_case(image=False))
    raters = [make_rater(study) for _ in range(2)]
    assert starving_versions(study) == []
    rate(study, raters[0])
    assert starving_versions(study) == []
    counts = counts_of(study, [])
    assert (counts.open, counts.submitted, counts.total, counts.starving) == (5, 1, 6, 0)


@pytest.mark.parametrize(
    ("reason", "fields"),
    [("language", {"language": "zh-hans"}), ("expertise", {"case": "melanoma"}), ("wrote", {"author": True})],
)
def test_it_says_what_keeps_raters_from_a_text(reason, fields) -> None:
    study = make_study(overlap=1, expertise=read_expertise("melanoma: pigmented lesions"))
    rater = make_rater(study)
    if "author" in fields:
        fields = {"author_kind": "person", "author": rater, "origin": "from_scratch"}
    if "case" in fields:
        fields = {"case": make_case(image=False, diagnosis="Melanoma")}
    version = make_version(**({"case": make_case(image=False)} | fields))
    enqueue_versions(study=study, versions=[version], actor=None)
    (starving,) = starving_versions(study)
    assert claim_next(study=study, rater=rater) is None
    assert (starving.version, starving.slots, starving.raters, starving.reasons) == (version, 1, 0, {reason: 1})


def test_too_few_raters_for_the_overlap_starve_it() -> None:
    study = make_study(overlap=3)
    (version,) = make_queue(study, 1)
    rater, other = make_rater(study), make_rater(study)
    (starving,) = starving_versions(study)
    assert (starving.version, starving.slots, starving.raters) == (version, 3, 2)
    rate(study, rater)
    skip_assignment(assignment=claim(study, other), rater=other, reason="outside_expertise")
    (starving,) = starving_versions(study)
    assert (starving.slots, starving.raters, starving.reasons) == (2, 0, {"had": 1, "skipped": 1})
    assert counts_of(study, [starving]).starving == 2


def test_what_is_said_to_be_left_can_really_be_claimed() -> None:
    """The list and the claim are two readings of one rule: they must agree for every rater and text."""
    study = make_study(overlap=2, expertise=read_expertise("melanoma: pigmented lesions"))
    raters = [make_rater(study) for _ in range(3)]
    raters[0].enrolments.update(expertise=["pigmented lesions"])
    raters[1].enrolments.update(languages=["en", "zh-hans"])
    versions = [
        make_version(case=make_case(image=False)),
        make_version(case=make_case(image=False), language="zh-hans"),
        make_version(case=make_case(image=False, diagnosis="melanoma")),
        make_version(case=make_case(image=False), author_kind="person", author=raters[2], origin="from_scratch"),
    ]
    enqueue_versions(study=study, versions=versions, actor=None)
    said = {one.version.pk: one.raters for one in starving_versions(study)}
    could: dict[int, int] = {version.pk: 0 for version in versions}
    for rater in raters:
        while claim_next(study=study, rater=rater) is not None:
            could[rate(study, rater).version_id] += 1
    for version in versions:
        assert could[version.pk] == min(2, said.get(version.pk, 2))


def test_a_fetched_slot_is_counted_apart_and_the_next_come_in_order() -> None:
    study = make_study(strategy="in_order", overlap=1)
    versions = make_queue(study, 4)
    rater = make_rater(study)
    claim(study, rater)
    hold_next(study=study, rater=rater)
    assert [slot.version for slot in next_slots(study)] == versions[2:]
    counts = counts_of(study, [])
    assert (counts.open, counts.held, counts.claimed) == (2, 1, 1)


def test_whole_rows_of_a_crossed_study() -> None:
    study = make_study(crossed=True, minimum_gap=0, overlap=1)
    case = make_case(image=False)
    enqueue_versions(study=study, versions=[make_version(case=case) for _ in range(2)], actor=None)
    rater = make_rater(study)
    assert crossed_rows(study) == (0, 0)
    rate(study, rater)
    assert crossed_rows(study) == (0, 1)
    rate(study, rater)
    assert crossed_rows(study) == (1, 1)
