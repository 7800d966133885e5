"""Comparing in Chromium: eight keys for a pair, choices that survive a reload, nothing kept that tells the arms."""

import os

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from scoring.models import PairDraft, Preference
from scoring.rubric import DIMENSION_KEYS
from scoring.services.comparisons import create_comparison, enqueue_pairs
from tests.browser.desk import PASSWORD
from tests.factories import NARRATIVE, make_case, make_rater, make_study, make_version
from tests.surroundings import chromium_path

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@pytest.fixture
def open_page(live_server):
    from playwright.sync_api import sync_playwright

    study = make_study()
    rater = make_rater(study)
    comparison = create_comparison(study=study, actor=None, first_arm="arm-one", second_arm="arm-two")
    pairs = []
    for _ in range(2):
        case = make_case()
        pairs.append((make_version(case=case), make_version(case=case, text=NARRATIVE.replace("brown", "black"))))
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)
    client = Client()
    client.force_login(rater)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])

        def opened(width=1440, height=900, **settings):
            context = browser.new_context(viewport={"width": width, "height": height}, **settings)
            cookie = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
            context.add_init_script(VIOLATIONS)
            page = context.new_page()
            page.on("pageerror", lambda error: pytest.fail(str(error)))
            page.goto(live_server.url + reverse("preferences:next"))
            return page

        yield opened
        browser.close()


def test_a_pair_is_eight_keys_and_its_choices_survive_a_reload(open_page) -> None:
    page = open_page()
    for key in ("ArrowLeft", "ArrowRight", "="):
        page.keyboard.press(key)
    page.keyboard.press("c")
    page.keyboard.type("Right names the border.")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-saved][data-saved-state=saved]")
    assert set(PairDraft.objects.get().content["fields"]) == {*DIMENSION_KEYS[:3], "comment"}
    page.reload()
    assert page.locator("[name=comment]").input_value() == "Right names the border."
    assert page.locator("#safety-right").is_checked()
    assert page.locator(".dimension.is-active").get_attribute("data-dimension") == "clinical_coverage"
    for key in ("x", "t", "b", "ArrowRight"):
        page.keyboard.press(key)
    before = page.url
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_load_state("load")
    given = Preference.objects.get()
    assert given.comment == "Right names the border."
    assert list(given.choices.order_by("pk").values_list("choice", flat=True)) == [
        "left",
        "right",
        "tie",
        "both_bad",
        "tie",
        "both_bad",
        "right",
    ]
    assert page.url != before
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").count("arm-") == 0
    assert page.evaluate("window.violations") == []


def test_choices_wait_in_the_browser_while_the_server_is_away(open_page) -> None:
    page = open_page()
    page.route("**/draft/", lambda route: route.abort())
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-saved][data-saved-state=kept]")
    page.unroute("**/draft/")
    page.reload()
    assert page.locator("#accuracy-left").is_checked()
    page.wait_for_selector("[data-saved][data-saved-state=saved]")
    assert PairDraft.objects.count() == 1


def test_a_vote_given_offline_or_after_the_log_in_expired_is_sent_once(open_page) -> None:
    page = open_page()
    first = page.url
    for key in ("1", "2", "3", "4", "1", "2", "3"):
        page.keyboard.press(key)
    page.wait_for_selector("[data-saved][data-saved-state=saved]")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-saved][data-saved-state=kept]")
    Session.objects.all().delete()
    page.context.set_offline(False)
    page.locator("dialog#log-in [name=password]").fill(PASSWORD)
    page.locator("dialog#log-in button[type=submit]").click()
    page.wait_for_url(lambda url: url != first)
    assert Preference.objects.get().choices.get(dimension="overall").choice == "tie"


def test_an_open_question_is_named_and_taken_up(open_page) -> None:
    page = open_page()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert "Safety" in page.locator("[data-missing]").inner_text()
    assert page.locator(".dimension.is-active").get_attribute("data-dimension") == "safety"
    assert not Preference.objects.exists()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180)])
def test_it_fits_a_phone_and_a_tablet_with_keys_of_44_px(open_page, width, height) -> None:
    page = open_page(width, height, has_touch=True, is_mobile=True)
    keys = page.locator(".dimension.is-active .choice-keys label")
    assert keys.count() == 4
    for index in range(4):
        box = keys.nth(index).bounding_box()
        assert min(box["width"], box["height"]) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_a_vote_is_given(open_page) -> None:
    page = open_page(java_script_enabled=False)
    for row in page.locator("fieldset.dimension").all():
        row.locator("label").first.click()
    page.locator("[data-submit]").click()
    assert Preference.objects.count() == 1
