"""Disputes: raised after the reveal, settled by somebody else, and nothing is certified in between."""

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Certification, Dispute, NarrativeVersion
from scoring.services.certification import adjudicate, recompute
from scoring.services.disputes import dispute_reference, settle_dispute
from scoring.services.reveals import reveal_reference
from tests.factories import make_adjudicator, make_queue, make_rater, make_study, rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def rating(study):
    make_queue(study, 1)
    rating = rate(study, make_rater(study), 5)
    reveal_reference(rating=rating, rater=rating.rater)
    return rating


def raise_it(rating, **fields) -> Dispute:
    values = {"diagnosis": "Melanoma", "confidence": "certain"} | fields
    return dispute_reference(rating=rating, rater=rating.rater, **values)


def settle(dispute, **fields) -> Dispute:
    values = {"adjudicator": make_adjudicator(), "outcome": "stands", "reason": "The histology is clear."} | fields
    return settle_dispute(dispute=dispute, **values)


def outcome(rating) -> str | None:
    found = Certification.objects.filter(version=rating.version, is_current=True).first()
    return found.outcome if found else None


def test_a_disputed_case_waits_for_an_adjudicator_however_good_the_scores(study, rating) -> None:
    dispute = raise_it(rating)
    assert (dispute.reference, dispute.diagnosis) == ("seborrhoeic keratosis", "Melanoma")
    rate(study, make_rater(study), 5)
    verdict = Certification.objects.get(version=rating.version, is_current=True)
    assert verdict.outcome == "adjudication"
    assert verdict.evidence["reasons"][0]["values"] == {"diagnosis": "Melanoma"}
    assert recompute(verdict).outcome == "adjudication"
    assert not NarrativeVersion.objects.certified().exists()
    with pytest.raises(ValidationError, match="Settle that first"):
        adjudicate(certification=verdict, adjudicator=make_adjudicator(), outcome="certified", reason="x")


def test_it_takes_back_what_the_rule_had_certified_and_settling_gives_it_again(study, rating) -> None:
    rate(study, make_rater(study), 5)
    assert outcome(rating) == "certified"
    dispute = raise_it(rating)
    assert outcome(rating) == "adjudication"
    settle(dispute)
    assert outcome(rating) == "certified"


def test_before_the_overlap_is_complete_settling_leaves_no_verdict(rating) -> None:
    dispute = raise_it(rating)
    assert outcome(rating) == "adjudication"
    settle(dispute)
    assert outcome(rating) is None


def test_an_adjudicators_rejection_outlives_the_dispute(rating) -> None:
    dispute = raise_it(rating)
    verdict = Certification.objects.get(is_current=True)
    adjudicate(certification=verdict, adjudicator=make_adjudicator(), outcome="rejected", reason="Not skin.")
    settle(dispute)
    assert outcome(rating) == "rejected"


def test_a_corrected_reference_is_a_consensus(rating) -> None:
    settle(raise_it(rating), outcome="corrected", diagnosis="Melanoma in situ")
    case = rating.version.narrative.case
    case.refresh_from_db()
    assert (case.diagnosis, case.diagnosis_basis) == ("Melanoma in situ", "consensus")


def test_it_needs_the_reveal_a_diagnosis_and_a_confidence(study, rating) -> None:
    make_queue(study, 1)
    unseen = rate(study, rating.rater)
    with pytest.raises(ValidationError, match="Look at the reference"):
        raise_it(unseen)
    with pytest.raises(ValidationError, match="your own diagnosis"):
        raise_it(rating, diagnosis=" ")
    with pytest.raises(ValidationError, match="how sure"):
        raise_it(rating, confidence="very")
    assert not Dispute.objects.exists()


def test_one_open_dispute_a_rater(rating) -> None:
    raise_it(rating)
    with pytest.raises(ValidationError, match="already"):
        raise_it(rating, diagnosis="Naevus")


def test_settling_needs_a_reason_a_stranger_and_where_corrected_a_diagnosis(rating) -> None:
    dispute = raise_it(rating)
    for fields, words in [
        ({"reason": " "}, "reason"),
        ({"outcome": "maybe"}, "Decide"),
        ({"adjudicator": rating.rater}, "another adjudicator"),
        ({"outcome": "corrected"}, "takes the place"),
        ({"outcome": "corrected", "diagnosis": "seborrhoeic keratosis"}, "takes the place"),
    ]:
        with pytest.raises(ValidationError, match=words):
            settle(dispute, **fields)
    settle(dispute)
    with pytest.raises(ValidationError, match="settled already"):
        settle(dispute)
