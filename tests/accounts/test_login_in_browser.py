"""The frame of every page in a real browser: no console error, no policy violation, no sideways scrolling."""

import pytest

from annotator.accounts.models import User
from tests.surroundings import chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long enough phrase"


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield chromium
        chromium.close()


def open_page(browser, address, width=1440, scheme="light"):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    return page, complaints


def log_in(page):
    page.fill("[name=username]", "lin")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector(".user-menu")


@pytest.mark.parametrize("width", [1440, 820, 390])
def test_login_and_profile_fit_every_width(browser, live_server, width):
    User.objects.create_user(
        "lin", password=PASSWORD, first_name="Mei-Ling Alexandra", last_name="Lin-Featherstonehaugh"
    )
    page, complaints = open_page(browser, f"{live_server.url}/accounts/login/", width)
    log_in(page)
    page.goto(f"{live_server.url}/accounts/profile/")

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert complaints == []


def test_theme_button_overrides_the_system_and_is_remembered(browser, live_server):
    page, complaints = open_page(browser, f"{live_server.url}/accounts/login/", scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)

    page.click("[data-theme-toggle]")
    light = page.evaluate(ground)
    page.reload()

    assert light != dark
    assert page.evaluate(ground) == light
    assert complaints == []


def test_a_person_can_log_in_and_out_with_the_keyboard_alone(browser, live_server):
    User.objects.create_user("lin", password=PASSWORD)
    page, _ = open_page(browser, f"{live_server.url}/accounts/login/")
    page.keyboard.type("lin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".user-menu")

    page.focus(".user-menu > summary")
    page.keyboard.press("Enter")
    page.focus(".user-menu button")
    page.keyboard.press("Enter")

    page.wait_for_selector("[name=password]")


def test_login_works_without_javascript(browser, live_server):
    User.objects.create_user("lin", password=PASSWORD)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{live_server.url}/accounts/login/")

    log_in(page)

    assert page.locator("[data-theme-toggle]").is_hidden()
