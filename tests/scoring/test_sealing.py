"""The seal: what a rater says first, before she knows more, stays apart from what she says later."""

import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from scoring.models import Certification, Rating, Reveal
from scoring.services.certification import adjudicate, recompute
from scoring.services.queue import enqueue_versions
from scoring.services.rating_drafts import save_draft
from scoring.services.ratings import UNDO_FOR, correct_rating, submit_rating
from scoring.services.reveals import reveal_reference
from scoring.services.revising import leave_own_revision, submit_revision
from tests.factories import claim, make_adjudicator, make_case, make_queue, make_rater, make_study, make_version, rate
from tests.factories import scores as score_inputs

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def rater(study):
    return make_rater(study)


@pytest.fixture
def rating(study, rater):
    make_queue(study, 1)
    return rate(study, rater, 3)


def change(rating, value=5, **fields):
    values = {"client_uuid": uuid.uuid4(), "scores": score_inputs(value)} | fields
    return correct_rating(rating=rating, rater=rating.rater, **values)


def pass_time(rating) -> None:
    Rating.objects.filter(pk=rating.pk).update(sealed_at=timezone.now() - timedelta(seconds=1))
    rating.refresh_from_db()


def test_before_the_seal_a_correction_is_the_new_first(rating) -> None:
    corrected = change(rating)
    rating.refresh_from_db()
    assert (rating.is_current, rating.is_first, rating.informed) == (False, False, False)
    assert (corrected.is_current, corrected.is_first, corrected.informed) == (True, True, False)
    assert corrected.supersedes == rating
    assert corrected.sealed_at == rating.sealed_at


def test_after_the_reveal_a_change_is_informed_and_the_first_stands(rating) -> None:
    reveal_reference(rating=rating, rater=rating.rater)
    changed = change(rating)
    assert (changed.informed, changed.is_first, changed.is_current) == (True, False, True)
    assert list(Rating.objects.sealed_first()) == [rating]
    assert list(Rating.objects.live()) == list(Rating.objects.informed()) == [changed]
    again = change(changed, 4)
    assert list(Rating.objects.sealed_first()) == [rating]
    assert list(Rating.objects.informed()) == [again]
    assert Rating.objects.count() == 3


def test_the_seal_comes_by_itself(rating) -> None:
    assert timezone.now() < rating.sealed_at <= timezone.now() + UNDO_FOR
    assert not Rating.objects.sealed_first().exists()
    pass_time(rating)
    assert list(Rating.objects.sealed_first()) == [rating]
    assert change(rating).informed


def test_a_second_text_of_a_case_whose_reference_she_saw_is_informed(study, rater) -> None:
    case = make_case()
    enqueue_versions(study=study, versions=[make_version(case=case)], actor=None)
    enqueue_versions(study=study, versions=[make_version(case=case)], actor=None, priority=-1)
    first = rate(study, rater)
    reveal_reference(rating=first, rater=rater)
    second = rate(study, rater)
    assert (second.informed, second.is_first) == (True, False)
    assert list(Rating.objects.sealed_first()) == [first]


def test_without_the_reveal_a_second_text_is_not_informed_and_the_reveal_seals_both(study, rater) -> None:
    case = make_case()
    enqueue_versions(study=study, versions=[make_version(case=case), make_version(case=case)], actor=None)
    ratings = [rate(study, rater), rate(study, rater)]
    reveal_reference(rating=ratings[0], rater=rater)
    assert set(Rating.objects.sealed_first()) == set(ratings)


def test_where_the_reference_is_always_shown_first_scores_are_first(rater) -> None:
    study = make_study(reveal="always")
    make_queue(study, 1)
    rating = rate(study, make_rater(study))
    assert (rating.informed, rating.is_first) == (False, True)
    assert Reveal.objects.filter(rater=rating.rater, case=rating.version.narrative.case).exists()


def test_a_study_that_never_reveals_refuses(rater) -> None:
    study = make_study(reveal="never")
    make_queue(study, 1)
    rating = rate(study, make_rater(study))
    with pytest.raises(ValidationError, match="does not show"):
        reveal_reference(rating=rating, rater=rating.rater)
    assert not Reveal.objects.exists()


def test_nobody_else_reveals_or_changes_it(rating, study) -> None:
    stranger = make_rater(study)
    with pytest.raises(ValidationError, match="somebody else"):
        reveal_reference(rating=rating, rater=stranger)
    with pytest.raises(ValidationError, match="no longer assigned"):
        correct_rating(rating=rating, rater=stranger, client_uuid=uuid.uuid4(), scores=score_inputs())


def test_a_change_sent_twice_is_one_and_an_older_page_is_told(rating) -> None:
    token = uuid.uuid4()
    assert change(rating, client_uuid=token) == change(rating, client_uuid=token)
    with pytest.raises(ValidationError, match="changed this rating since"):
        change(rating)
    assert Rating.objects.count() == 2


def test_a_refused_change_leaves_everything(rating) -> None:
    with pytest.raises(ValidationError, match="whole number"):
        change(rating, 9)
    rating.refresh_from_db()
    assert rating.is_current and Rating.objects.count() == 1


def test_certification_takes_the_last_word_and_names_what_it_used(study, rating) -> None:
    other = rate(study, make_rater(study), 4)
    verdict = Certification.objects.get(is_current=True)
    assert (verdict.outcome, verdict.scores_used) == ("revision", "first")
    reveal_reference(rating=rating, rater=rating.rater)
    changed = change(rating)
    verdict = Certification.objects.get(is_current=True)
    assert (verdict.outcome, verdict.scores_used) == ("certified", "informed")
    assert set(verdict.ratings.all()) == {changed, other}
    assert {entry["informed"] for entry in verdict.evidence["ratings"]} == {True, False}
    assert recompute(verdict).outcome == "certified"


def test_once_decided_nothing_informed_changes_it(study, rating) -> None:
    rate(study, make_rater(study), 3)
    reveal_reference(rating=rating, rater=rating.rater)
    adjudicate(
        certification=Certification.objects.get(is_current=True),
        adjudicator=make_adjudicator(),
        outcome="rejected",
        reason="Too vague.",
    )
    with pytest.raises(ValidationError, match="has been decided \\(rejected\\)"):
        change(rating)
    with pytest.raises(ValidationError, match="has been decided"):
        save_draft(assignment=rating.assignment, rater=rating.rater, content={"page": "p", "count": 1}, base=0)


def test_a_slip_is_mended_before_the_seal_even_where_the_rule_has_decided(study, rating) -> None:
    other = make_rater(study)
    make_queue(study, 1)
    for value in (5, 5):
        rate(study, other, value)
    veto = rate(study, rating.rater, 5, safety=0)
    assert Certification.objects.get(version=veto.version, is_current=True).outcome == "adjudication"
    change(veto)
    assert Certification.objects.get(version=veto.version, is_current=True).outcome == "certified"


def test_a_veto_taken_back_leaves_no_verdict_behind(study, rater) -> None:
    make_queue(study, 1)
    veto = rate(study, rater, 5, safety=0)
    assert Certification.objects.filter(is_current=True).exists()
    change(veto)
    assert not Certification.objects.filter(is_current=True).exists()


def test_an_own_revision_is_scored_apart_and_never_counts(study, rater) -> None:
    make_queue(study, 1)
    slot = claim(study, rater)
    revised = submit_revision(assignment=slot, rater=rater, replacements={2: "It is oval and large."})
    submit_rating(assignment=slot, rater=rater, client_uuid=uuid.uuid4(), scores=score_inputs(3))
    own = claim(study, rater)
    assert (own.version, own.purpose) == (revised, "revision")
    submit_rating(assignment=own, rater=rater, client_uuid=uuid.uuid4(), scores=score_inputs(5))
    assert not Rating.objects.live().filter(version=revised).exists()
    assert not Rating.objects.sealed_first().filter(version=revised).exists()
    assert revised.assignments.filter(purpose="live", state="open").count() == study.overlap


def test_an_own_revision_may_be_left_unscored(study, rater) -> None:
    make_queue(study, 1)
    submit_revision(assignment=claim(study, rater), rater=rater, replacements={2: "It is oval and large."})
    rate(study, rater)
    own = claim(study, rater)
    leave_own_revision(assignment=own, rater=rater)
    with pytest.raises(ValidationError, match="does not wait"):
        leave_own_revision(assignment=own, rater=rater)


def test_draft_and_revision_are_a_preference_pair(study, rater) -> None:
    (draft,) = make_queue(study, 1)
    revised = submit_revision(assignment=claim(study, rater), rater=rater, replacements={2: "It is oval and large."})
    pair = study.preferences.get()
    assert (pair.origin, pair.left, pair.right, pair.rater) == ("revision", draft, revised, rater)
    assert [(c.dimension, c.choice) for c in pair.choices.all()] == [("overall", "right")]


@pytest.mark.parametrize(
    "fields",
    [{"informed": True, "is_first": True}, {"informed": False, "is_first": False, "is_current": True}],
)
def test_the_table_itself_keeps_first_and_informed_apart(rating, fields) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Rating.objects.filter(pk=rating.pk).update(**fields)
