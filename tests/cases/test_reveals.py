"""Whoever opens a staff page that names a reference knows it from then on, should she come to rate."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotator.accounts.roles import ADJUDICATOR, ADMINISTRATOR, DERMATOLOGIST
from scoring.models import Certification, Rating, Reveal
from tests.factories import join, make_case, make_queue, make_rater, make_study, make_user, rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(client):
    """A dermatologist who administers and adjudicates too."""
    user = make_user(DERMATOLOGIST, ADMINISTRATOR, ADJUDICATOR)
    client.force_login(user)
    return user


def test_a_rating_after_the_case_page_is_informed(client, both) -> None:
    study, case = make_study(), make_case()
    make_queue(study, 1, case=case)
    join(study, both)
    client.get(reverse("cases:detail", args=[case.public_id]))
    assert rate(study, both).informed


def test_a_rating_before_the_case_page_is_sealed_by_it(client, both) -> None:
    study, case = make_study(), make_case()
    make_queue(study, 1, case=case)
    join(study, both)
    given = rate(study, both)
    assert not given.informed and not given.is_sealed
    client.get(reverse("cases:detail", args=[case.public_id]))
    assert Rating.objects.get(pk=given.pk).is_sealed


@pytest.mark.parametrize("name", ["cases:list", "narratives:list"])
def test_a_list_reveals_what_it_names_at_a_constant_price(client, both, name) -> None:
    study = make_study()
    first = make_case(image=False)
    make_queue(study, 1, case=first)
    client.get(reverse(name))
    assert list(Reveal.objects.values_list("rater", "case")) == [(both.pk, first.pk)]

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse(name)).status_code == 200
        return len(asked)

    before = queries()
    for _ in range(3):
        make_queue(study, 1, case=make_case(image=False))
    client.get(reverse(name))
    assert Reveal.objects.filter(rater=both).count() == 4
    assert queries() == before


def test_the_review_desk_reveals(client, both) -> None:
    study, case = make_study(), make_case()
    make_queue(study, 1, case=case)
    rate(study, make_rater(study), 5, safety=1)
    rate(study, make_rater(study), 5)
    waiting = Certification.objects.get(is_current=True)
    client.get(reverse("review:detail", args=[waiting.public_id]))
    assert Reveal.objects.filter(rater=both, case=case).exists()
