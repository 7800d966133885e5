"""Submitting ratings: whole or not at all, once, on the scale."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from scoring.models import Assignment, Rating, Score
from scoring.rubric import DIMENSION_KEYS
from scoring.services.rating_drafts import save_draft
from scoring.services.ratings import ScoreInput, submit_rating
from tests.factories import claim, make_queue, make_rater, make_study, scores

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    return claim(study, rater), rater


def submit(held, entered=None, **fields):
    assignment, rater = held
    values = {"client_uuid": uuid.uuid4(), "scores": scores() if entered is None else entered}
    return submit_rating(assignment=assignment, rater=rater, **(values | fields))


def test_a_rating_stores_six_scores_and_closes_the_slot(held) -> None:
    rating = submit(held, scores(4, safety=None))
    assert rating.scores_by_dimension() == dict.fromkeys(DIMENSION_KEYS, 4) | {"safety": None}
    assert Assignment.objects.get(pk=held[0].pk).state == "submitted"


def test_the_same_submission_twice_is_one_rating(held) -> None:
    token = uuid.uuid4()
    assert submit(held, client_uuid=token) == submit(held, client_uuid=token)
    assert Rating.objects.count() == 1


def test_another_submission_of_the_same_slot_is_refused(held) -> None:
    submit(held)
    with pytest.raises(ValidationError, match="already submitted"):
        submit(held)


@pytest.mark.parametrize("value", [9, -1, 3.5, float("nan")])
def test_a_value_off_the_scale_stores_nothing(held, value) -> None:
    with pytest.raises(ValidationError, match="whole number"):
        submit(held, scores(5, accuracy=value))
    assert not Rating.objects.exists() and not Score.objects.exists()


def test_a_missing_dimension_is_named(held) -> None:
    entered = scores()
    del entered["safety"]
    with pytest.raises(ValidationError) as caught:
        submit(held, entered)
    assert set(caught.value.message_dict) == {"safety"}


def test_cannot_judge_needs_its_reason(held) -> None:
    with pytest.raises(ValidationError, match="Say why"):
        submit(held, scores() | {"accuracy": ScoreInput(None)})


def test_another_rater_cannot_submit_it(held) -> None:
    stranger = make_rater(held[0].study)
    with pytest.raises(ValidationError, match="no longer assigned"):
        submit((held[0], stranger))


def test_an_older_draft_never_overwrites_a_newer_one(held) -> None:
    assignment, rater = held
    newer, older = ({"page": "p", "count": count, "fields": {"n": str(count)}} for count in (2, 1))
    save_draft(assignment=assignment, rater=rater, content=newer, base=0)
    assert save_draft(assignment=assignment, rater=rater, content=older, base=0).content == newer


def test_the_table_itself_refuses_a_second_live_rating(held) -> None:
    rating = submit(held)
    other = Assignment.objects.exclude(pk=held[0].pk).filter(version=rating.version).first()
    with pytest.raises(IntegrityError, match=r"one_live_rating|UNIQUE|unique"), transaction.atomic():
        Rating.objects.create(
            assignment=other,
            study=rating.study,
            version=rating.version,
            rater=rating.rater,
            rubric=rating.rubric,
            purpose="live",
            client_uuid=uuid.uuid4(),
            sealed_at=rating.sealed_at,
        )


def test_the_table_itself_refuses_a_score_off_the_scale(held) -> None:
    rating = submit(held)
    with pytest.raises(IntegrityError), transaction.atomic():
        Score.objects.filter(rating=rating, dimension="safety").update(value=6)
