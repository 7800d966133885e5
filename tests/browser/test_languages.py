"""Chinese in the browser: the switch on the page, the rater's anchors, the desk's reasons."""

import os

import pytest
from django.urls import reverse

from scoring.rubric import CHINESE_DIMENSIONS
from tests.browser import world as worlds
from tests.surroundings import chromium_path

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_one_press_turns_a_page_chinese_and_back(live_server) -> None:
    from playwright.sync_api import sync_playwright

    world = worlds.build()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
        cookie = world.client("dermatologist").cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.goto(live_server.url + reverse("rating:assignment", args=world.arguments["rating:assignment"]))
        address = page.url
        assert page.locator("html").get_attribute("lang") == "en"
        with page.expect_navigation():
            page.get_by_role("button", name="简体中文").press("Enter")
        assert page.url == address
        assert page.locator("html").get_attribute("lang") == "zh-hans"
        text = page.locator(".scores-pane").inner_text()
        first = CHINESE_DIMENSIONS[0]
        assert [words for words in (first.name, first.question, *first.anchors) if words not in text] == []
        narrative = page.locator("#narrative [lang]").first
        assert narrative.get_attribute("lang") == "en"
        with page.expect_navigation():
            page.get_by_role("button", name="English").press("Enter")
        assert page.locator("html").get_attribute("lang") == "en"
        browser.close()


def test_the_desk_says_in_chinese_why_a_text_is_there() -> None:
    world = worlds.build()
    client = world.client("adjudicator")
    client.cookies["django_language"] = "zh-hans"
    page = client.get(reverse("review:list")).content.decode()
    assert "安全性评分为 1" in page
    detail = client.get(reverse("review:detail", args=world.arguments["review:detail"])).content.decode()
    assert "参考诊断存在争议" in detail
    assert "臆造所见" in detail
