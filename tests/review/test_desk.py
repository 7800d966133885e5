"""The adjudicator's desk through HTTP."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import Assignment, Certification, NarrativeVersion
from scoring.pseudonym import pseudonym
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions
from tests.factories import (
    make_adjudicator,
    make_administrator,
    make_dermatologist,
    make_queue,
    make_rater,
    make_researcher,
    make_study,
    make_version,
    rate,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=2)


@pytest.fixture
def raters(study):
    return [
        make_rater(study, username="greta.holm", first_name="Greta", last_name="Holm"),
        make_rater(study, username="wei.li", first_name="Weiming", last_name="Liangzhou"),
    ]


def disputed(study, raters) -> Certification:
    (version,) = make_queue(study, 1)
    return rated(study, raters, version, safety=1)


def too_low(study, raters) -> Certification:
    (version,) = make_queue(study, 1)
    return rated(study, raters, version, accuracy=3)


def rated(study, raters, version, **low) -> Certification:
    for rater in raters:
        rate(study, rater, 5, **low)
    return Certification.objects.get(version=version, is_current=True)


def url(name: str, certification: Certification) -> str:
    return reverse(f"review:{name}", args=[certification.public_id])


@pytest.mark.parametrize(
    ("make", "status"),
    [(make_adjudicator, 200), (make_administrator, 200), (make_researcher, 403), (make_dermatologist, 403)],
)
def test_the_desk_is_for_adjudicators_and_administrators(client, study, raters, make, status) -> None:
    waiting = disputed(study, raters)
    client.force_login(make())
    assert client.get(reverse("review:list")).status_code == status
    assert client.get(url("detail", waiting)).status_code == status


def test_disputes_come_before_revisions(client, study, raters) -> None:
    low = too_low(study, raters)
    dispute = disputed(study, raters)
    client.force_login(make_adjudicator())
    assert list(client.get(reverse("review:list")).context["page_obj"]) == [dispute, low]


def test_pages_show_pseudonyms_and_never_names(client, study, raters) -> None:
    waiting = disputed(study, raters)
    waiting.ratings.update(comment="Escalation is missing.")
    client.force_login(make_adjudicator())
    page = client.get(url("detail", waiting)).content.decode()
    desk = client.get(reverse("review:list")).content.decode()
    for rater in raters:
        assert pseudonym(study.public_id, rater.public_id) in page
        for name in (rater.username, rater.first_name, rater.last_name):
            assert name not in page + desk
    assert "Escalation is missing." in page
    assert "Safety score of 1" in page


def test_accepting_needs_a_reason_and_stores_the_verdict(client, study, raters) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_adjudicator())
    answer = client.post(url("decide", waiting), {"outcome": "certified", "reason": " "})
    assert answer.status_code == 422
    assert "Give the reason for your decision." in answer.content.decode()
    answer = client.post(url("decide", waiting), {"outcome": "certified", "reason": "The advice is safe."})
    assert answer.status_code == 302
    decided = Certification.objects.get(version=waiting.version, is_current=True)
    assert (decided.outcome, decided.reason) == ("certified", "The advice is safe.")
    assert list(client.get(reverse("review:list")).context["page_obj"]) == []


def test_rejecting_goes_on_to_the_next_one(client, study, raters) -> None:
    first, second = disputed(study, raters), disputed(study, raters)
    client.force_login(make_adjudicator())
    answer = client.post(url("decide", first), {"outcome": "rejected", "reason": "Unsafe."})
    assert answer["Location"] == url("detail", second)


def test_too_low_scores_cannot_be_accepted(client, study, raters) -> None:
    low = too_low(study, raters)
    client.force_login(make_adjudicator())
    assert 'value="certified"' not in client.get(url("detail", low)).content.decode()
    assert client.post(url("decide", low), {"outcome": "certified", "reason": "x"}).status_code == 422
    low.refresh_from_db()
    assert low.is_current


def test_administrators_look_but_do_not_decide(client, study, raters) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_administrator())
    assert url("decide", waiting) not in client.get(url("detail", waiting)).content.decode()
    assert client.post(url("decide", waiting), {"outcome": "rejected", "reason": "x"}).status_code == 403
    assert client.get(url("revise", waiting)).status_code == 403


def test_nobody_adjudicates_her_own_text(client, study, raters) -> None:
    writer = make_adjudicator()
    revised = revise_version(
        version=make_version(), text="<think> Red plaque. </think><answer> Eczema. </answer>", author=writer
    )
    enqueue_versions(study=study, versions=[revised], actor=None)
    waiting = rated(study, raters, revised, safety=1)
    client.force_login(writer)
    page = client.get(url("detail", waiting)).content.decode()
    assert "You wrote part of this text, so another adjudicator must decide." in page
    assert url("decide", waiting) not in page
    answer = client.post(url("decide", waiting), {"outcome": "certified", "reason": "Mine."})
    assert answer.status_code == 422
    assert Certification.objects.get(version=revised, is_current=True).outcome == "adjudication"


def test_a_decided_narrative_cannot_be_decided_again(client, study, raters) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_adjudicator())
    client.post(url("decide", waiting), {"outcome": "rejected", "reason": "Unsafe."})
    answer = client.post(url("decide", waiting), {"outcome": "certified", "reason": "Changed my mind."})
    assert answer.status_code == 422
    assert "no longer waits" in answer.content.decode()
    assert client.get(url("detail", waiting)).status_code == 200


def test_revising_makes_a_version_first_in_the_queue(client, study, raters) -> None:
    waiting = too_low(study, raters)
    make_queue(study, 1)
    adjudicator = make_adjudicator()
    client.force_login(adjudicator)
    fields = {f"step-{s['number']}": s["text"] for s in waiting.version.step_texts()}
    fields["step-1"] = "A red plaque\r\nwith scale."
    answer = client.post(url("revise", waiting), fields)
    assert answer.status_code == 302
    revised = NarrativeVersion.objects.get(narrative=waiting.version.narrative, number=2)
    assert "A red plaque\nwith scale." in revised.text
    assert (
        revised.text.replace("A red plaque\nwith scale.", waiting.version.step_texts()[0]["text"])
        == waiting.version.text
    )
    assert (revised.author, revised.parent) == (adjudicator, waiting.version)
    slots = Assignment.objects.filter(version=revised)
    assert slots.count() == 2
    highest = Assignment.objects.exclude(version=revised).order_by("-priority").first()
    assert slots.first().priority > highest.priority
    assert list(client.get(reverse("review:list")).context["page_obj"]) == []


def test_revising_nothing_is_refused(client, study, raters) -> None:
    waiting = too_low(study, raters)
    client.force_login(make_adjudicator())
    fields = {f"step-{s['number']}": s["text"] for s in waiting.version.step_texts()}
    answer = client.post(url("revise", waiting), fields)
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.content.decode()
    assert "There is no step 99" in client.post(url("revise", waiting), {"step-99": "x"}).content.decode()


def test_queries_do_not_grow_with_the_desk(client, study, raters) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("review:list")).status_code == 200
        return len(queries)

    client.force_login(make_adjudicator())
    disputed(study, raters)
    few = count()
    for _ in range(4):
        disputed(study, raters)
    assert count() == few
