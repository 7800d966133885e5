"""Deciding at the desk: what a decision stores, what it needs, who may not, and what is settled first."""

import pytest
from django.urls import reverse

from scoring.models import (
    Adjudication,
    Assignment,
    Case,
    Certification,
    NarrativeVersion,
    Preference,
)
from scoring.rubric import DIMENSION_KEYS
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions
from tests.factories import (
    make_adjudicator,
    make_administrator,
    make_queue,
    make_rater,
    make_study,
    make_version,
)
from tests.review.waiting import dispute_reference_of, disputed, rated, too_low, url

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


def decision(**changes) -> dict[str, str]:
    entered = dict.fromkeys(DIMENSION_KEYS, "4") | {"cause": "slip", "decision": "right"} | changes
    return {name: value for name, value in entered.items() if value}


def test_a_decision_stores_her_scores_the_reason_and_the_cause(client, study, raters) -> None:
    waiting = disputed(study, raters)
    adjudicator = make_adjudicator()
    client.force_login(adjudicator)
    answer = client.post(url("detail", waiting), decision(safety="5", accuracy="x", note=" Advice is safe. "))
    assert answer.status_code == 302
    decided = Certification.objects.get(version=waiting.version, is_current=True)
    assert (decided.outcome, decided.adjudicator) == ("certified", adjudicator)
    assert decided.reason == "Right and safe as it stands. Advice is safe."
    stored = Adjudication.objects.get(certification=decided)
    assert (stored.cause, stored.decision) == ("slip", "right")
    assert dict(stored.scores.values_list("dimension", "value")) == dict.fromkeys(DIMENSION_KEYS, 4.0) | {
        "safety": 5.0,
        "accuracy": None,
    }
    assert list(client.get(reverse("review:list")).context["page_obj"]) == []
    shown = client.get(url("detail", decided)).content.decode()
    assert "A slip of a rater" in shown


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ({"cause": ""}, "Choose what the dispute came from."),
        ({"decision": ""}, "Choose a decision."),
        ({"decision": "perhaps"}, "Choose a decision."),
        ({"safety": ""}, "Give a level"),
        ({"safety": "6"}, "Levels are whole numbers from 0 to 5."),
        ({"safety": "2.5"}, "Levels are whole numbers from 0 to 5."),
        ({"safety": "good"}, "Levels are whole numbers from 0 to 5."),
    ],
)
def test_what_is_missing_is_named_and_the_rest_is_kept(client, study, raters, gap, words) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_adjudicator())
    answer = client.post(url("detail", waiting), decision(**gap))
    assert answer.status_code == 422
    text = " ".join(answer.content.decode().split())
    assert words in text
    assert 'id="accuracy-4" data-key="4" checked' in text
    waiting.refresh_from_db()
    assert waiting.is_current
    assert not Adjudication.objects.exists()


def test_rejecting_goes_on_to_the_next_one(client, study, raters) -> None:
    first, second = disputed(study, raters), disputed(study, raters)
    client.force_login(make_adjudicator())
    answer = client.post(url("detail", first), decision(decision="unsafe"))
    assert answer["Location"] == url("detail", second)


def test_too_low_scores_cannot_be_accepted(client, study, raters) -> None:
    low = too_low(study, raters)
    client.force_login(make_adjudicator())
    assert 'id="decision-right"' not in client.get(url("detail", low)).content.decode()
    assert client.post(url("detail", low), decision()).status_code == 422
    low.refresh_from_db()
    assert low.is_current
    assert not Adjudication.objects.exists()


def test_administrators_look_but_do_not_decide(client, study, raters) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_administrator())
    assert 'name="decision"' not in client.get(url("detail", waiting)).content.decode()
    assert client.post(url("detail", waiting), decision()).status_code == 403
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
    assert 'name="decision"' not in page
    assert client.post(url("detail", waiting), decision()).status_code == 422
    assert Certification.objects.get(version=revised, is_current=True).outcome == "adjudication"


def test_a_decided_narrative_cannot_be_decided_again(client, study, raters) -> None:
    waiting = disputed(study, raters)
    client.force_login(make_adjudicator())
    client.post(url("detail", waiting), decision(decision="unsafe"))
    answer = client.post(url("detail", waiting), decision())
    assert answer.status_code == 422
    assert "no longer waits" in answer.content.decode()
    assert client.get(url("detail", waiting)).status_code == 200
    assert Adjudication.objects.count() == 1


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
    assert Preference.objects.get(origin="revision").right == revised


def test_revising_nothing_is_refused(client, study, raters) -> None:
    waiting = too_low(study, raters)
    client.force_login(make_adjudicator())
    fields = {f"step-{s['number']}": s["text"] for s in waiting.version.step_texts()}
    answer = client.post(url("revise", waiting), fields)
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.content.decode()
    assert "There is no step 99" in client.post(url("revise", waiting), {"step-99": "x"}).content.decode()


def test_a_disputed_reference_is_settled_before_the_text_is_accepted(client, study, raters) -> None:
    dispute = dispute_reference_of(disputed(study, raters), raters[0])
    certification = Certification.objects.get(is_current=True)
    client.force_login(make_adjudicator())
    page = client.get(url("detail", certification)).content.decode()
    assert "Tinea" in page
    assert raters[0].last_name not in page
    refused = client.post(url("detail", certification), decision())
    assert "is disputed. Settle that first." in refused.content.decode()
    settle = reverse("review:settle", args=[certification.public_id, dispute.public_id])
    assert "Give the reason" in client.post(settle, {"outcome": "corrected", "diagnosis": "Tinea"}).content.decode()
    answer = client.post(settle, {"outcome": "corrected", "diagnosis": "Tinea", "reason": "Hyphae seen."})
    assert Case.objects.get(pk=dispute.case_id).diagnosis == "Tinea"
    current = Certification.objects.get(version=certification.version, is_current=True)
    assert answer["Location"] == url("detail", current)
    assert client.post(url("detail", current), decision()).status_code == 302
    assert Certification.objects.get(version=certification.version, is_current=True).outcome == "certified"


def test_another_studys_dispute_is_not_settled_here(client, study, raters) -> None:
    dispute = dispute_reference_of(disputed(study, raters), raters[0])
    other = disputed(study, raters)
    client.force_login(make_adjudicator())
    settle = reverse("review:settle", args=[other.public_id, dispute.public_id])
    assert client.post(settle, {"outcome": "stands", "reason": "x"}).status_code == 404
