"""My work: her own ratings with what became of them, and nobody else's scores."""

import pytest
from django.urls import reverse

from scoring.models import Rating
from scoring.services.narratives import revise_version
from tests.factories import make_queue, make_rater, rate

pytestmark = pytest.mark.django_db


def mine(client, **query):
    return client.get(reverse("rating:mine"), query)


def test_a_rating_is_listed_with_scores_reference_and_state(page, study, rater) -> None:
    make_queue(study, 1)
    rating = rate(study, rater, 4, safety=None)
    html = mine(page).content.decode()
    assert rating.version.narrative.case.code in html
    assert "seborrhoeic keratosis" in html
    assert "Waits for colleagues" in html
    assert '<abbr title="Cannot judge">x</abbr>' in html


def test_the_state_follows_the_certification(page, study, rater) -> None:
    make_queue(study, 1)
    rate(study, rater, 5)
    rate(study, make_rater(study), 5)
    assert "Certified" in mine(page).content.decode()


def test_scores_and_comments_of_others_are_not_shown(page, study, rater) -> None:
    make_queue(study, 1)
    rate(study, rater, 5)
    other = rate(study, make_rater(study), 5, safety=1)
    Rating.objects.filter(pk=other.pk).update(comment="CANARY-COMMENT")
    html = mine(page).content.decode()
    assert "Waits for adjudication" in html
    assert "CANARY-COMMENT" not in html
    assert [row["scores"] for row in mine(page).context["rows"]] == [["5"] * 6]


def test_progress_and_pace(page, study, rater) -> None:
    assert mine(page).context["pace"] is None
    make_queue(study, 3)
    for seconds in (30, 50, None):
        rating = rate(study, rater)
        Rating.objects.filter(pk=rating.pk).update(active_seconds=seconds)
    context = mine(page).context
    assert (context["today"], context["total"], context["pace"]) == (3, 3, 40)


def test_her_corrections_are_listed(page, study, rater) -> None:
    version = make_queue(study, 1)[0]
    revised = revise_version(version=version, text=version.text + " More.", author=rater)
    assert revised.narrative.case.code in mine(page).content.decode()


def test_the_list_has_pages_and_a_constant_number_of_queries(page, study, rater, django_assert_max_num_queries) -> None:
    make_queue(study, 2)
    rate(study, rater)
    with django_assert_max_num_queries(40) as few:
        mine(page)
    make_queue(study, 27)
    for _ in range(28):
        rate(study, rater)
    with django_assert_max_num_queries(len(few.captured_queries)):
        answer = mine(page)
    assert len(answer.context["rows"]) == 25
    assert len(mine(page, page=2).context["rows"]) == 4
