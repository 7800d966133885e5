"""My work: her own ratings with what became of them, and nobody else's scores."""

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from scoring.models import Rating
from scoring.services.narratives import revise_version
from scoring.services.ratings import correct_rating
from scoring.services.reveals import reveal_reference
from tests.factories import make_queue, make_rater, rate, scores

pytestmark = pytest.mark.django_db


def mine(client, **query):
    return client.get(reverse("rating:mine"), query)


def seal(*ratings) -> None:
    Rating.objects.filter(pk__in=[rating.pk for rating in ratings]).update(sealed_at=timezone.now())


def test_a_fresh_rating_is_listed_and_can_be_corrected(page, study, rater) -> None:
    make_queue(study, 1)
    rating = rate(study, rater, 4, safety=None)
    html = mine(page).content.decode()
    assert rating.version.narrative.case.code in html
    assert "Can still be corrected" in html
    assert f'href="{reverse("rating:assignment", args=[rating.assignment.public_id])}">Correct' in html
    assert "seborrhoeic keratosis" not in html
    assert '<abbr title="Cannot judge">x</abbr>' in html


def test_the_reference_is_shown_once_she_has_looked(page, study, rater) -> None:
    make_queue(study, 1)
    rating = rate(study, rater, 4)
    answer = page.post(reverse("rating:reveal", args=[rating.assignment.public_id]), {"next": "mine"}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("rating:mine")
    html = answer.content.decode()
    assert "seborrhoeic keratosis" in html
    assert "Waits for colleagues" in html
    assert ">Change<" in html and ">Dispute<" in html


def test_the_state_follows_the_certification_once_her_scores_are_sealed(page, study, rater) -> None:
    make_queue(study, 1)
    rating = rate(study, rater, 5)
    rate(study, make_rater(study), 5)
    assert "Certified" not in mine(page).content.decode()
    seal(rating)
    html = mine(page).content.decode()
    assert "Certified" in html
    assert ">Change<" not in html


def test_scores_and_comments_of_others_are_not_shown(page, study, rater) -> None:
    make_queue(study, 1)
    seal(rate(study, rater, 5))
    other = rate(study, make_rater(study), 5, safety=1)
    Rating.objects.filter(pk=other.pk).update(comment="CANARY-COMMENT")
    html = mine(page).content.decode()
    assert "Waits for adjudication" in html
    assert "CANARY-COMMENT" not in html
    assert [row["scores"] for row in mine(page).context["rows"]] == [["5"] * 6]


def test_a_changed_rating_says_so_and_shows_her_last_word(page, study, rater) -> None:
    make_queue(study, 1)
    rating = rate(study, rater, 2)
    reveal_reference(rating=rating, rater=rater)
    correct_rating(rating=rating, rater=rater, client_uuid=uuid.uuid4(), scores=scores(4))
    (row,) = mine(page).context["rows"]
    assert (row["scores"], row["is_changed"]) == (["4"] * 6, True)
    assert ">Changed<" in mine(page).content.decode()


def test_agreement_is_of_sealed_first_scores_and_needs_five_narratives(page, study, rater) -> None:
    make_queue(study, 5)
    colleague = make_rater(study)
    hers = [rate(study, rater, 3, safety=5) for _ in range(5)]
    for _ in range(5):
        rate(study, colleague, 4, safety=None)
    seal(*hers[:4])
    assert mine(page).context["agreement"] == []
    seal(hers[4])
    reveal_reference(rating=hers[0], rater=rater)
    hers[0].refresh_from_db()
    correct_rating(rating=hers[0], rater=rater, client_uuid=uuid.uuid4(), scores=scores(0))
    shown = {distance.dimension: distance for _, distance in mine(page).context["agreement"]}
    assert "safety" not in shown and len(shown) == 5
    assert (shown["accuracy"].count, shown["accuracy"].mean, shown["accuracy"].bias) == (5, 1, -1)
    assert shown["accuracy"].within_one == 1


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
