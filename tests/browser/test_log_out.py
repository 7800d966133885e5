"""Logging out from any page leaves nothing of hers in the browser, and loses nothing that could still be sent."""

import json
import os

import pytest
from django.urls import reverse

from scoring.models import RatingDraft
from tests.factories import claim, make_queue, make_rater, make_study
from tests.surroundings import chromium_path

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_journal_is_sent_and_cleared(live_server, client) -> None:
    from playwright.sync_api import sync_playwright

    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    slot = claim(study, rater)
    client.force_login(rater)
    before = slot.version.step_texts()[0]["text"]
    left = {
        "url": reverse("rating:draft", args=[slot.public_id]),
        "fields": {
            "comment": "Left behind.",
            "step-1": {"start": len(before), "end": 0, "length": len(before), "text": " Seen."},
        },
        "revision": 0,
        "page": "gone",
        "submission": "x",
        "seconds": 3,
        "at": 1,
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        context = browser.new_context()
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.goto(live_server.url + reverse("rating:mine"))
        journal = f"rating:journal:{rater.public_id}:{slot.public_id}"
        page.evaluate("([key, entry]) => localStorage.setItem(key, entry)", [journal, json.dumps(left)])
        page.evaluate("() => localStorage.setItem('rating:journal:somebody-else:1', '{}')")
        page.locator(".user-menu summary").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Log out").click()
        assert page.evaluate("() => Object.keys(localStorage)") == ["rating:journal:somebody-else:1"]
        browser.close()
    assert RatingDraft.objects.get().content["fields"] == {"comment": "Left behind.", "step-1": f"{before} Seen."}
