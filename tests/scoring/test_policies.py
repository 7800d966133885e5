"""Another policy: what it would change, the change itself, and that the log gives the same set again."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from bench.agreement_data import make_people, make_texts, store_ratings
from scoring.models import Certification, Score
from scoring.services.amendments import amend_study
from scoring.services.certification import adjudicate, recompute
from scoring.services.disputes import dispute_reference, settle_dispute
from scoring.services.policies import preview_policy, recertify_study
from scoring.services.queue import enqueue_versions
from scoring.services.rated_versions import rated_versions
from scoring.services.reveals import reveal_reference
from scoring.services.verification import verify_certifications
from tests.factories import (
    claim,
    make_adjudicator,
    make_administrator,
    make_case,
    make_queue,
    make_rater,
    make_study,
    make_version,
    rate,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


def outcomes(study) -> dict:
    rows = Certification.objects.filter(study=study, is_current=True)
    return {row.version_id: row.outcome for row in rows}


def rated_by_two(study, *values) -> list:
    """One version per (first, second) pair of levels, each on all six dimensions."""
    versions = make_queue(study, len(values))
    raters = [make_rater(study) for _ in range(2)]
    for place, rater in enumerate(raters):
        for _ in versions:
            slot = claim(study, rater)
            pair = dict(zip([version.pk for version in versions], values, strict=True))[slot.version_id]
            rate(study, rater, pair[place])
    return versions


def test_the_preview_says_what_changes_and_writes_nothing(study, django_assert_max_num_queries) -> None:
    strong, fair, weak = rated_by_two(study, (5, 5), (4, 3), (3, 3))
    assert outcomes(study) == {strong.pk: "certified", fair.pk: "revision", weak.pk: "revision"}
    with django_assert_max_num_queries(8):
        found = preview_policy(study=study, thresholds={"minimum_mean": 3.5})
    assert found.now == {"certified": 1, "revision": 2}
    assert found.then == {"certified": 2, "revision": 1}
    assert [(change.version, change.before, change.after) for change in found.changes] == [
        (fair.pk, "revision", "certified")
    ]
    assert Certification.objects.count() == 3
    assert outcomes(study)[fair.pk] == "revision"


def test_an_amendment_of_the_policy_is_what_the_preview_said(study) -> None:
    strong, fair, weak = rated_by_two(study, (5, 5), (4, 3), (3, 3))
    old = study.policy
    found = preview_policy(study=study, thresholds={"minimum_mean": 3.5})
    amend_study(
        study=study,
        actor=make_administrator(),
        reason="The pilot shows 3.5 is safe.",
        changes={},
        thresholds={"minimum_mean": 3.5},
    )
    study.refresh_from_db()
    now = outcomes(study)
    assert now == {strong.pk: "certified", fair.pk: "certified", weak.pk: "revision"}
    assert {change.version: change.after for change in found.changes} == {fair.pk: "certified"}
    new = Certification.objects.get(version=fair, is_current=True)
    assert new.policy == study.policy != old
    assert set(new.ratings.all()) == set(fair.ratings.all())
    assert new.evidence["version_sha256"] == fair.sha256
    assert Certification.objects.get(version=strong, is_current=True).policy == old
    assert Certification.objects.filter(version=fair, is_current=False).count() == 1
    assert verify_certifications(study=study).holds


def test_a_preview_of_a_policy_that_cannot_be_is_refused(study) -> None:
    for thresholds in ({"minimum_mean": 6}, {"dispute_range": 0}, {"unheard_of": 1}):
        with pytest.raises(ValidationError):
            preview_policy(study=study, thresholds=thresholds)


def test_what_an_adjudicator_decided_stands_under_another_policy(study) -> None:
    (version,) = make_queue(study, 1)
    rate(study, make_rater(study), 5, safety=2)
    waiting = Certification.objects.get(version=version, is_current=True)
    adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="rejected", reason="Unsafe.")
    found = preview_policy(study=study, thresholds={"safety_veto": 1})
    assert (found.decided, found.changes) == (1, ())
    assert recertify_study(study=study) == 0
    assert outcomes(study) == {version.pk: "rejected"}


def test_a_contrary_final_diagnosis_waits_for_an_adjudicator_and_stays_recomputable(study) -> None:
    case = make_case(diagnosis="melanoma")
    (version,) = make_queue(study, 1, case=case)
    for _ in range(2):
        rate(study, make_rater(study), 5)
    stored = Certification.objects.get(version=version, is_current=True)
    assert stored.outcome == "adjudication"
    assert [reason["text"] for reason in stored.evidence["reasons"]] == [
        "the final diagnosis is not the reference diagnosis"
    ]
    assert stored.evidence["conclusion"]["reference"] == "melanoma"
    assert recompute(stored).outcome == "adjudication"
    assert preview_policy(study=study, thresholds={"diagnosis_veto": False}).then == {"certified": 1}


def test_bulk_reading_gives_each_version_what_the_single_one_gets(study) -> None:
    """Authors, disputes and conclusions too: the bulk verdict is the stored one for every version."""
    rated_by_two(study, (5, 5), (5, 1), (4, None), (3, 3))
    disputed = make_version(case=make_case())
    enqueue_versions(study=study, versions=[disputed], actor=None)
    rater = make_rater(study)
    rating = rate(study, rater, 5)
    reveal_reference(rating=rating, rater=rater)
    dispute_reference(rating=rating, rater=rater, diagnosis="melanoma", confidence="certain")
    stored = outcomes(study)
    found = {key: one.verdict(study.policy.rule).outcome for key, one in rated_versions(study).items()}
    assert found == stored
    assert set(found.values()) == {"certified", "adjudication", "revision"}


def test_the_log_gives_the_same_set(study) -> None:
    rated_by_two(study, (5, 5), (5, 1), (3, 3))
    waiting = Certification.objects.get(outcome="adjudication", is_current=True)
    adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="certified", reason="It is right.")
    found = verify_certifications()
    assert found.holds
    assert (found.checked, found.current) == (4, 3)
    out = io.StringIO()
    call_command("verify_certifications", stdout=out)
    assert found.stored in out.getvalue()
    assert "The same set, bit for bit." in out.getvalue()


def test_a_score_changed_behind_the_log_is_found(study) -> None:
    (version,) = rated_by_two(study, (4, 4))
    Score.objects.filter(pk=Score.objects.first().pk).update(value=3)
    found = verify_certifications(study=study)
    assert not found.holds
    assert found.stored != found.recomputed
    assert any(str(version.public_id) in line for line in found.differences)
    with pytest.raises(CommandError, match="does not give the same set"):
        call_command("verify_certifications", stdout=io.StringIO())


def test_a_verdict_put_in_by_hand_is_found(study) -> None:
    rated_by_two(study, (3, 3))
    Certification.objects.update(outcome="certified")
    assert any("the rule gives revision" in line for line in verify_certifications().differences)


def test_a_version_without_its_verdict_is_found(study) -> None:
    rated_by_two(study, (5, 5))
    Certification.objects.update(is_current=False)
    assert "no verdict" in verify_certifications().differences[0]


def test_a_settled_dispute_leaves_a_set_that_recomputes(study) -> None:
    make_queue(study, 1)
    rater = make_rater(study)
    rating = rate(study, rater, 5)
    reveal_reference(rating=rating, rater=rater)
    dispute = dispute_reference(rating=rating, rater=rater, diagnosis="melanoma", confidence="certain")
    rate(study, make_rater(study), 5)
    settle_dispute(
        dispute=dispute, adjudicator=make_adjudicator(), outcome="corrected", reason="Histology.", diagnosis="melanoma"
    )
    assert set(outcomes(study).values()) == {"adjudication"}  # the text still says seborrhoeic keratosis
    assert verify_certifications().holds


def test_recertifying_many_takes_a_fixed_number_of_statements(study, django_assert_max_num_queries) -> None:
    people, versions = make_people(2), make_texts(60)
    store_ratings(study, [(version, person, [5] * 6) for version in versions for person in people])
    with django_assert_max_num_queries(20):
        assert recertify_study(study=study) == 60
    assert set(outcomes(study).values()) == {"certified"}
    assert verify_certifications().holds
