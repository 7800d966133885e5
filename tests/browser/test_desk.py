"""The adjudicator's desk in Chromium: a final score with cause and reason in at most ten keys."""

import os
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from scoring.models import Adjudication, Certification
from scoring.rubric import DIMENSION_KEYS
from scoring.services.queue import claim_version
from scoring.services.ratings import submit_rating
from tests.factories import make_adjudicator, make_queue, make_rater, make_study, scores
from tests.surroundings import chromium_path

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(live_server):
    from playwright.sync_api import sync_playwright

    study = make_study()
    raters = [make_rater(study) for _ in range(2)]
    for version in make_queue(study, 2):
        for rater in raters:
            slot = claim_version(study=study, version=version, rater=rater)
            submit_rating(assignment=slot, rater=rater, client_uuid=uuid.uuid4(), scores=scores(5, safety=1))
    client = Client()
    client.force_login(make_adjudicator())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        opened = context.new_page()
        opened.on("pageerror", lambda error: pytest.fail(str(error)))
        opened.goto(live_server.url + reverse("review:list"))
        with opened.expect_navigation():
            opened.locator("tbody a").first.click()
        yield opened
        browser.close()


def test_a_decision_takes_nine_keys_and_leads_to_the_next(page) -> None:
    keys = [*"443x44", "3", "2", "Enter"]
    assert len(keys) <= 10
    before = page.url
    for key in keys[:-1]:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press(keys[-1])
    decided = Adjudication.objects.get()
    assert (decided.cause, decided.decision) == ("image", "minor_faults")
    final = dict(decided.scores.values_list("dimension", "value"))
    assert [final[key] for key in DIMENSION_KEYS] == [4, 4, 3, None, 4, 4]
    assert decided.certification.outcome == Certification.Outcome.CERTIFIED
    assert page.url != before
    assert page.locator("form#scores").is_visible()


def test_what_is_open_is_named_and_digits_rest_while_typing(page) -> None:
    page.keyboard.press("4")
    page.keyboard.press("n")
    page.keyboard.type("12 mm")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    assert "Safety" in page.locator("[data-missing]").inner_text()
    assert page.locator("textarea[name=note]").input_value() == "12 mm"
    assert not Adjudication.objects.exists()


def test_image_text_and_decision_stand_side_by_side(page) -> None:
    boxes = [page.locator(name).bounding_box() for name in (".image-pane", ".text-pane", ".scores-pane")]
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
    foot = page.locator(".scores-foot").bounding_box()
    assert foot["y"] + foot["height"] <= 900
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
