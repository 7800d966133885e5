"""Drafts: what is typed is kept, comes back, and an older page never overwrites a newer one."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from scoring.models import Assignment, RatingDraft
from scoring.services.ratings import submit_rating
from tests.factories import claim, make_rater, scores

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(page, held):
    def sender(fields, *, base=0, count=1, page_id="tab", seconds=5, raw=None, **more):
        body = {"revision": base, "count": count, "page": page_id, "fields": fields, "active_seconds": seconds} | more
        return page.post(
            reverse("rating:draft", args=[held.public_id]),
            json.dumps(body) if raw is None else raw,
            content_type="application/json",
        )

    return sender


def kept() -> dict:
    return RatingDraft.objects.get().content["fields"]


def test_a_draft_comes_back_with_the_page(page, held, send) -> None:
    answer = send({"accuracy": "3", "accuracy_comment": "Border?", "safety": "x", "safety_reason": "other"})
    assert answer.json() == {"revision": 1, "held": True}
    context = page.get(reverse("rating:assignment", args=[held.public_id])).context
    accuracy, safety = context["rows"][:2]
    assert [level.value for level in accuracy.levels if level.is_chosen] == [3]
    assert accuracy.comment == "Border?"
    assert safety.cannot_judge
    assert (context["revision"], context["draft_page"], context["active_seconds"]) == (1, "tab", 5)


def test_another_page_that_knows_the_last_revision_goes_on_from_it(send) -> None:
    send({"accuracy": "3"})
    assert send({"accuracy": "4"}, base=1, page_id="second").json()["revision"] == 2
    assert kept() == {"accuracy": "4"}


def test_an_older_page_overwrites_nothing_and_gets_the_newer_content(send) -> None:
    send({"accuracy": "3"})
    send({"accuracy": "5"}, base=1, page_id="newer")
    answer = send({"accuracy": "1"}, base=1, count=2)
    assert answer.status_code == 409
    assert answer.json() == {"revision": 2, "page": "newer", "fields": {"accuracy": "5"}}
    assert kept() == {"accuracy": "5"}


def test_a_page_whose_answer_was_lost_may_save_again(send) -> None:
    send({"accuracy": "3"})
    assert send({"accuracy": "4"}, base=0, count=2).status_code == 200
    assert kept() == {"accuracy": "4"}


def test_a_save_that_arrives_late_changes_nothing(send) -> None:
    send({"accuracy": "3"}, count=2)
    assert send({"accuracy": "1"}, count=1).json() == {"revision": 1, "held": True}
    assert kept() == {"accuracy": "3"}


def test_what_she_had_begun_is_kept_after_her_lease(study, held, send) -> None:
    send({"accuracy": "3"})
    Assignment.objects.filter(pk=held.pk).update(lease_expires=timezone.now() - timedelta(minutes=1))
    claim(study, make_rater(study))
    Assignment.objects.filter(pk=held.pk).update(state="open", rater=None)
    assert send({"accuracy": "4"}, base=1, count=2).json() == {"revision": 2, "held": False}
    assert kept() == {"accuracy": "4"}


def test_what_was_left_in_a_browser_changes_no_submitted_rating(held, rater, send) -> None:
    submit_rating(assignment=held, rater=rater, client_uuid=held.public_id, scores=scores())
    assert send({"accuracy": "3"}, late=True).status_code == 409
    assert not RatingDraft.objects.exists()


def test_fields_that_the_page_does_not_have_are_dropped(send) -> None:
    send({"accuracy": "3", "is_staff": "1", "step-0": "no", "step-2": "yes", "comment": 7})
    assert RatingDraft.objects.get().content["fields"] == {"accuracy": "3", "step-2": "yes"}


@pytest.mark.parametrize(
    "raw",
    [
        "not json",
        "[]",
        '{"fields": {}}',
        '{"revision": -1, "count": 1, "fields": {}}',
        '{"revision": true, "count": 1, "fields": {}}',
        '{"revision": 1e99, "count": 1, "fields": {}}',
        '{"revision": 1, "fields": {}}',
        '{"revision": 1, "count": 1, "fields": []}',
        b"\xff\xfe",
    ],
)
def test_an_unreadable_draft_is_refused_with_a_reason(send, raw) -> None:
    answer = send({}, raw=raw)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not RatingDraft.objects.exists()


def test_saving_renews_the_lease(held, send) -> None:
    Assignment.objects.filter(pk=held.pk).update(lease_expires=timezone.now() + timedelta(minutes=1))
    send({"accuracy": "3"})
    held.refresh_from_db()
    assert held.lease_expires > timezone.now() + timedelta(minutes=20)


def test_the_heartbeat_renews_the_lease(page, held) -> None:
    Assignment.objects.filter(pk=held.pk).update(lease_expires=timezone.now() + timedelta(minutes=1))
    assert page.post(reverse("rating:lease", args=[held.public_id])).json() == {"held": True}
    held.refresh_from_db()
    assert held.lease_expires > timezone.now() + timedelta(minutes=20)


def test_a_withdrawn_narrative_takes_no_draft(page, held, send) -> None:
    Assignment.objects.filter(pk=held.pk).update(state="closed")
    assert send({"accuracy": "3"}).status_code == 404
    assert page.post(reverse("rating:lease", args=[held.public_id])).status_code == 404
    assert not RatingDraft.objects.exists()


def test_after_the_submission_there_is_no_lease_to_keep(page, held, rater) -> None:
    submit_rating(assignment=held, rater=rater, client_uuid=held.public_id, scores=scores())
    assert page.post(reverse("rating:lease", args=[held.public_id])).status_code == 409


def test_nobody_else_can_write_her_draft(client, study, held) -> None:
    client.force_login(make_rater(study))
    body = json.dumps({"revision": 1, "fields": {}})
    for name in ("draft", "lease"):
        answer = client.post(reverse(f"rating:{name}", args=[held.public_id]), body, content_type="application/json")
        assert answer.status_code == 404


def test_a_draft_needs_its_token(held, rater) -> None:
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rater)
    assert strict.post(reverse("rating:draft", args=[held.public_id]), "{}", "application/json").status_code == 403
