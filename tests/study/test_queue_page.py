"""The queue's page: how far, what next and why, who has what, what starves; reclaiming and skips."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import Assignment, Enrolment, Skip
from scoring.pseudonym import pseudonym
from scoring.services.queue import claim_next, hold_next, skip_assignment
from scoring.strata import read_expertise, read_quotas
from tests.factories import (
    claim,
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
    rate,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client):
    user = make_administrator()
    client.force_login(user)
    return user


def url(name, study, *more):
    return reverse(f"study:{name}", args=[study.public_id, *more])


def text(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_says_how_far_and_why_each_comes_next(client, administrator) -> None:
    study = make_study(strategy="quota", quotas=read_quotas("skin tone: dark = 50"), overlap=1)
    make_queue(study, 2, case=make_case(image=False))
    make_queue(study, 1, case=make_case(image=False, skin_tone="dark"))
    rate(study, make_rater(study))
    page = text(client, url("queue", study))
    assert "1 of 3 ratings" in page
    assert "All its quotas are met." in page
    client.post(url("refresh", study))
    first = Assignment.objects.filter(state="open").order_by("-priority").first()
    assert first.why["rule"] in {"quota", "quota_met"}


def test_an_administrator_reclaims_and_the_rater_can_claim_again(client, administrator) -> None:
    study = make_study(overlap=1)
    make_queue(study, 2, case=make_case(image=False))
    rater = make_rater(study, first_name="Greta", last_name="Holm")
    claim(study, rater)
    hold_next(study=study, rater=rater)
    assert "Greta Holm" in text(client, url("queue", study))
    answer = client.post(url("reclaim", study, rater.public_id), follow=True).content.decode()
    assert "2 slots are open for others" in answer
    assert Assignment.objects.filter(state="open").count() == 2
    assert claim_next(study=study, rater=rater) is not None


def test_starving_texts_are_named_with_what_keeps_raters(client, administrator) -> None:
    study = make_study(overlap=2)
    (version,) = make_queue(study, 1)
    make_rater(study)
    page = text(client, url("queue", study))
    assert "Starving" in page
    assert version.narrative.case.code in page


def test_another_reason_for_a_skip_waits_here(client, administrator) -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="other", note="I treated her.")
    assert "I treated her." in text(client, url("queue", study))
    client.post(url("skip_seen", study, Skip.objects.get().pk))
    assert "I treated her." not in text(client, url("queue", study))
    assert Skip.objects.get().seen_by == administrator


def test_researchers_see_pseudonyms_and_change_nothing(client) -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study, first_name="Greta", last_name="Holm")
    claim(study, rater)
    client.force_login(make_researcher())
    page = text(client, url("queue", study))
    assert "Holm" not in page and pseudonym(study.public_id, rater.public_id) in page
    assert client.post(url("reclaim", study, rater.public_id)).status_code == 403
    assert client.post(url("refresh", study)).status_code == 403
    assert client.get(url("raters", study)).status_code == 403
    client.force_login(make_dermatologist())
    assert client.get(url("queue", study)).status_code == 403


def test_how_raters_work_and_exclusion_by_a_stated_limit(client, administrator) -> None:
    study = make_study(identical_limit=40)
    make_queue(study, 3, case=make_case(image=False))
    careless, careful = make_rater(study), make_rater(study)
    for number in range(3):
        rate(study, careless, 5)
        rate(study, careful, 5, safety=number + 2)
    page = text(client, url("raters", study))
    assert "more than 40 % of the rows identical" in page
    assert page.count("Exclude by this limit") == 1
    refused = client.post(url("exclude", study, careful.public_id), follow=True).content.decode()
    assert "none of the study" in refused
    client.post(url("exclude", study, careless.public_id))
    assert not Enrolment.objects.get(rater=careless).may_rate
    assert Enrolment.objects.get(rater=careful).may_rate
    assert "100 % of the rows identical" in text(client, url("raters", study))


def test_without_a_limit_nobody_can_be_excluded(client, administrator) -> None:
    study = make_study()
    make_queue(study, 1)
    rate(study, make_rater(study))
    assert "nobody can be excluded" in text(client, url("raters", study))
    assert "Exclude by this limit" not in text(client, url("raters", study))


def test_expertise_is_ticked_here(client, administrator) -> None:
    study = make_study(expertise=read_expertise("melanoma: pigmented lesions"))
    rater = make_rater(study)
    client.post(url("expertise", study, rater.public_id), {"area": ["pigmented lesions"]})
    assert Enrolment.objects.get(rater=rater).expertise == ["pigmented lesions"]
    refused = client.post(url("expertise", study, rater.public_id), {"area": ["surgery"]}, follow=True)
    assert "no such area: surgery" in refused.content.decode()
    assert Enrolment.objects.get(rater=rater).expertise == ["pigmented lesions"]


def test_queries_do_not_grow(client, administrator) -> None:
    study = make_study(overlap=6)
    case = make_case(image=False)
    make_queue(study, 1, case=case)
    rater = make_rater(study)
    rate(study, rater)
    make_queue(study, 1, case=case)
    claim(study, rater)

    def counts() -> list[int]:
        found = []
        for name in ("queue", "raters"):
            with CaptureQueriesContext(connection) as seen:
                text(client, url(name, study))
            found.append(len(seen))
        return found

    few = counts()
    make_queue(study, 4, case=case)
    for _ in range(3):
        other = make_rater(study)
        rate(study, other)
        claim(study, other)
        hold_next(study=study, rater=other)
    assert counts() == few
