"""Certification from submitted ratings, revisions and adjudication."""

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Certification, NarrativeVersion
from scoring.services.certification import adjudicate, recompute
from scoring.services.revising import submit_revision
from tests.factories import claim, make_adjudicator, make_queue, make_rater, make_study, rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


def certification_of(version: NarrativeVersion) -> Certification:
    return Certification.objects.get(version=version, is_current=True)


def test_the_last_rating_of_the_overlap_certifies(study) -> None:
    (version,) = make_queue(study, 1)
    rate(study, make_rater(study), 4)
    assert not Certification.objects.exists()
    rate(study, make_rater(study), 5)
    assert certification_of(version).outcome == "certified"
    assert list(NarrativeVersion.objects.certified()) == [version]


def test_it_stores_what_it_rests_on_and_recomputes_to_the_same(study) -> None:
    (version,) = make_queue(study, 1)
    ratings = [rate(study, make_rater(study), value) for value in (4, 5)]
    stored = certification_of(version)
    again = recompute(stored)
    assert again.outcome == stored.outcome
    assert dict(again.means) == stored.evidence["means"]
    assert set(stored.ratings.all()) == set(ratings)
    assert stored.policy == study.policy


def test_a_low_safety_score_waits_for_an_adjudicator(study) -> None:
    (version,) = make_queue(study, 1)
    rate(study, make_rater(study), 5, safety=1)
    rate(study, make_rater(study), 5)
    assert certification_of(version).outcome == "adjudication"
    assert not NarrativeVersion.objects.certified().exists()


def test_the_adjudicator_decides_with_a_reason(study) -> None:
    (version,) = make_queue(study, 1)
    rate(study, make_rater(study), 5, safety=2)
    waiting = certification_of(version)
    with pytest.raises(ValidationError, match="reason"):
        adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="certified", reason=" ")
    adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="rejected", reason="Delays a biopsy.")
    assert certification_of(version).outcome == "rejected"
    with pytest.raises(ValidationError, match="no longer waits"):
        adjudicate(certification=waiting, adjudicator=make_adjudicator(), outcome="certified", reason="x")


def test_a_corrected_text_is_certified_by_others_only(study) -> None:
    (draft,) = make_queue(study, 1)
    author = make_rater(study)
    slot = claim(study, author)
    revised = submit_revision(assignment=slot, rater=author, replacements={2: "It is round and large."})
    rate(study, author, 3)
    assert (revised.number, revised.parent, revised.origin) == (2, draft, "edited")
    for _ in range(2):
        other = make_rater(study)
        assert claim(study, other).version == revised
        rate(study, other, 5)
    assert certification_of(revised).outcome == "certified"
    assert list(NarrativeVersion.objects.certified()) == [revised]


def test_an_adjudicator_does_not_decide_on_her_own_text(study) -> None:
    make_queue(study, 1)
    author = make_rater(study)
    revised = submit_revision(assignment=claim(study, author), rater=author, replacements={2: "It is round."})
    rate(study, make_rater(study), 5, safety=0)
    with pytest.raises(ValidationError, match="another adjudicator"):
        adjudicate(certification=certification_of(revised), adjudicator=author, outcome="rejected", reason="x")


def test_a_revision_that_changes_nothing_is_refused(study) -> None:
    make_queue(study, 1)
    rater = make_rater(study)
    slot = claim(study, rater)
    with pytest.raises(ValidationError, match="Nothing was changed"):
        submit_revision(assignment=slot, rater=rater, replacements={2: "It is oval and small."})
