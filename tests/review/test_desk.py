"""The adjudicator's desk through HTTP."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotator.review.desk import waiting
from scoring.models import (
    Adjudication,
    Assignment,
    Case,
    Certification,
    Dispute,
    Mark,
    NarrativeVersion,
    Preference,
    Rating,
)
from scoring.pseudonym import pseudonym
from scoring.rubric import DIMENSION_KEYS
from scoring.services.disputes import dispute_reference
from scoring.services.narratives import revise_version
from scoring.services.queue import enqueue_versions
from scoring.services.reveals import reveal_reference
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


def spread(study, raters, low: int) -> Certification:
    """One rater gives 5 throughout, the other one low score on coverage."""
    (version,) = make_queue(study, 1)
    rate(study, raters[0], 5)
    rate(study, raters[1], 5, clinical_coverage=low)
    return Certification.objects.get(version=version, is_current=True)


def dispute_reference_of(certification, rater) -> Dispute:
    rating = Rating.objects.get(version=certification.version, rater=rater, is_current=True)
    reveal_reference(rating=rating, rater=rater)
    return dispute_reference(rating=rating, rater=rater, diagnosis="Tinea", confidence="probable")


def test_the_gravest_waits_first(client, study, raters) -> None:
    low = too_low(study, raters)
    narrow, wide = spread(study, raters, 2), spread(study, raters, 0)
    unsafe = disputed(study, raters)
    reference = spread(study, raters, 1)
    dispute_reference_of(reference, raters[0])
    reference = Certification.objects.get(version=reference.version, is_current=True)
    client.force_login(make_adjudicator())
    page = client.get(reverse("review:list"))
    assert list(page.context["page_obj"]) == [reference, unsafe, wide, narrow, low]
    assert [(c.reference_disputed, c.unsafe, c.spread) for c in waiting()] == [
        (True, False, 4),
        (False, True, 0),
        (False, False, 5),
        (False, False, 3),
        (False, False, 0),
    ]


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


def test_marks_are_merged_onto_the_text_under_pseudonyms(client, study, raters) -> None:
    certification = disputed(study, raters)
    step = certification.version.step_texts()[0]
    start = step["start"]
    spans = [(start, start + 8), (start + 2, start + 14)]
    ratings = sorted(certification.ratings.all(), key=lambda r: pseudonym(study.public_id, r.rater.public_id))
    for rating, (one, other) in zip(ratings, spans, strict=True):
        Mark.objects.create(
            rating=rating,
            step=1,
            verdict="error",
            error_type="hallucinated_finding",
            severity="major",
            span_start=one,
            span_end=other,
            note="Not there.",
        )
    client.force_login(make_adjudicator())
    answer = client.get(url("detail", certification))
    first = answer.context["steps"][0]
    assert "".join(part.text for part in first.segments) == step["text"]
    assert [len(part.marks) for part in first.segments] == [1, 2, 1, 0]
    page = answer.content.decode()
    assert page.count("Hallucinated finding · Major") == 2
    assert "<mark>" in page


def test_time_flags_and_informed_scores_stand_apart(client, study, raters) -> None:
    certification = disputed(study, raters)
    hasty, changed = certification.ratings.order_by("pk")
    Rating.objects.filter(pk=hasty.pk).update(active_seconds=1)
    Rating.objects.filter(pk=changed.pk).update(is_current=False)
    later = Rating.objects.get(pk=changed.pk)
    scores = list(later.scores.all())
    later.pk, later.public_id, later.client_uuid = None, uuid.uuid4(), uuid.uuid4()
    later.is_current, later.is_first, later.informed, later.supersedes = True, False, True, changed
    later.save()
    for score in scores:
        score.pk, score.rating, score.value = None, later, 3
        score.save()
    client.force_login(make_adjudicator())
    answer = client.get(url("detail", certification))
    columns = answer.context["columns"]
    assert sorted((c.rating.pk, c.informed, c.too_fast) for c in columns) == sorted(
        [(hasty.pk, False, True), (changed.pk, False, False), (later.pk, True, False)]
    )
    page = answer.content.decode()
    assert page.count("faster than reading") == 1
    assert ">informed<" in page
    accuracy = answer.context["rows"][0]
    assert accuracy.spread == 2  # the last words: 5 and 3


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


def test_queries_do_not_grow_with_raters_and_marks(client) -> None:
    client.force_login(make_adjudicator())

    def count(overlap: int) -> int:
        study = make_study(overlap=overlap)
        (version,) = make_queue(study, 1)
        for number in range(overlap):
            rating = rate(study, make_rater(study), 5, safety=1)
            Mark.objects.create(rating=rating, step=1 + number % 2, verdict="ok")
        certification = Certification.objects.get(version=version, is_current=True)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url("detail", certification)).status_code == 200
        return len(queries)

    assert count(2) == count(6)


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
