"""The rating page in Chromium: seven keys for a case, drafts that survive, a clean console and policy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.test import Client
from django.urls import reverse

from scoring.models import Assignment, NarrativeVersion, Rating, RatingDraft
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_queue, make_rater, make_study
from tests.surroundings import chromium_path

# Playwright's synchronous driver keeps an event loop in this thread; Django would refuse the database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass
class Desk:
    """A rater logged in before a queue of three narratives."""

    browser: object
    address: str
    cookie: str
    rater: object
    noise: list[str] = field(default_factory=list)

    def open(self, **settings):
        settings.setdefault("viewport", {"width": 1440, "height": 900})
        context = self.browser.new_context(**settings)
        context.add_cookies([{"name": "sessionid", "value": self.cookie, "url": self.address}])
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.on("console", lambda m: self.noise.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.noise.append(str(error)))
        page.goto(self.address + reverse("rating:next"))
        return page


@pytest.fixture
def desk(live_server) -> Iterator[Desk]:
    from playwright.sync_api import sync_playwright

    study = make_study()
    make_queue(study, 3)
    rater = make_rater(study)
    client = Client()
    client.force_login(rater)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield Desk(browser, live_server.url, client.cookies["sessionid"].value, rater)
        browser.close()


def saved(page) -> None:
    page.wait_for_selector("[data-saved][data-state=saved]", timeout=5000)


def test_one_case_is_seven_keys_and_the_console_stays_clean(desk) -> None:
    page = desk.open()
    first = page.url
    for key in "345012":
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    assert page.url != first
    assert page.locator("[data-previous]").is_visible()
    rating = Rating.objects.get()
    assert list(rating.scores_by_dimension().values()) == [3, 4, 5, 0, 1, 2]
    assert page.evaluate("violations") == []
    assert desk.noise == []


def test_a_draft_survives_a_reload(desk) -> None:
    page = desk.open()
    page.keyboard.press("4")
    page.keyboard.press("c")
    page.keyboard.type("Which border? 5 mm")
    saved_after_typing(page)
    page.reload()
    assert page.locator("#accuracy-4").is_checked()
    assert page.locator("[name=safety_comment]").input_value() == "Which border? 5 mm"
    assert page.locator("#safety-5").is_checked() is False
    assert RatingDraft.objects.get().content["fields"]["accuracy"] == "4"
    assert page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('rating:'))") == []


def saved_after_typing(page) -> None:
    page.wait_for_timeout(700)
    saved(page)


def test_what_was_typed_offline_is_kept_here_and_sent_later(desk) -> None:
    page = desk.open()
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.wait_for_selector("[data-saved][data-state=kept]")
    assert not RatingDraft.objects.exists()
    page.context.set_offline(False)
    saved(page)
    assert RatingDraft.objects.get().content["fields"]["accuracy"] == "2"


def test_words_that_never_reached_the_server_come_back_from_the_journal(desk) -> None:
    page = desk.open()
    page.route("**/draft/", lambda route: route.abort())
    page.keyboard.press("2")
    page.wait_for_selector("[data-saved][data-state=kept]")
    page.unroute("**/draft/")
    page.reload()
    saved_after_typing(page)
    assert page.locator("#accuracy-2").is_checked()
    assert RatingDraft.objects.get().content["fields"]["accuracy"] == "2"


def test_submitting_early_names_what_is_missing_and_sends_nothing(desk) -> None:
    page = desk.open()
    for key in "345":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert (
        "Clinical Coverage, Reasoning Coherence, Description Precision" in page.locator("[data-missing]").inner_text()
    )
    assert not Rating.objects.exists()


def test_cannot_judge_by_keyboard(desk) -> None:
    page = desk.open()
    page.keyboard.press("x")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    for key in "44444":
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert Rating.objects.get().scores.get(dimension="accuracy").cannot_judge == "image_quality"


def test_a_word_is_corrected_in_place_and_scoring_goes_on(desk) -> None:
    page = desk.open()
    page.keyboard.press("3")
    page.keyboard.press("e")
    page.locator("[data-revise-form] textarea").first.wait_for()
    page.keyboard.press("End")
    page.keyboard.type(" It is 5 mm wide.")
    with page.expect_navigation():
        page.get_by_role("button", name="Save as a new version").click()
    assert "Version 2 is queued" in page.locator(".messages").inner_text()
    assert NarrativeVersion.objects.get(number=2).author == desk.rater
    assert page.locator("#accuracy-3").is_checked()


def test_the_older_of_two_tabs_is_told(desk) -> None:
    older = desk.open()
    newer = older.context.new_page()
    newer.goto(older.url)
    newer.keyboard.press("5")
    saved_after_typing(newer)
    older.keyboard.press("1")
    older.wait_for_selector("[data-saved][data-state=lost]")
    assert RatingDraft.objects.get().content["fields"]["accuracy"] == "5"


def test_the_image_has_45_per_cent_and_six_anchors_stand_before_a_key_is_pressed(desk) -> None:
    for width in (1100, 1280, 1440, 1920):
        page = desk.open(viewport={"width": width, "height": 900})
        assert page.locator(".image-pane").bounding_box()["width"] >= 0.45 * width - 0.5
        anchors = page.locator(".detail.is-active .anchors li")
        assert anchors.count() == 6
        bottom = page.locator(".scores-foot").bounding_box()["y"]
        for index in range(6):
            box = anchors.nth(index).bounding_box()
            assert box["y"] + box["height"] <= bottom
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180)])
def test_score_keys_are_44_px_on_touch_and_nothing_overflows(desk, width, height) -> None:
    page = desk.open(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    keys = page.locator(".dimension.is-active .score-keys label")
    assert keys.count() == 7
    for index in range(7):
        box = keys.nth(index).bounding_box()
        assert min(box["width"], box["height"]) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    image = page.locator(".image-pane").bounding_box()
    assert image["y"] < height / 3
    page.mouse.wheel(0, 600)
    assert page.locator("[data-viewer]").is_visible()


def test_a_phone_scores_by_taps(desk) -> None:
    page = desk.open(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for key in DIMENSION_KEYS:
        page.locator(f"label[for={key}-4]").first.tap()
        page.wait_for_timeout(250)
    with page.expect_navigation():
        page.locator("[data-submit]").tap()
    assert set(Rating.objects.get().scores_by_dimension().values()) == {4}


def test_without_javascript_a_case_is_scored_and_submitted(desk) -> None:
    page = desk.open(java_script_enabled=False)
    for key in DIMENSION_KEYS:
        page.locator(f"label[for={key}-5]").first.click()
    page.locator("[data-submit]").click()
    assert Rating.objects.count() == 1
    assert Assignment.objects.filter(state="submitted").count() == 1


def test_a_double_click_makes_one_rating(desk) -> None:
    page = desk.open()
    for _ in range(6):
        page.keyboard.press("4")
    with page.expect_navigation():
        page.locator("[data-submit]").dblclick()
    page.wait_for_load_state("networkidle")
    assert Rating.objects.count() == 1
