"""axe-core finds nothing on any page: every address of the site, both languages, both themes."""

import os
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from tests.browser import world as worlds
from tests.surroundings import chromium_path

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
EVERYTHING = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}
RUN = """async (options) => (await axe.run(document, options)).violations.map(
  (found) => `${found.id}: ` + found.nodes.slice(0, 4).map((node) => node.html.slice(0, 160)).join(" | "))"""
# The first that may see a page looks in English and daylight, the last in Chinese and the dark.
ROLES = ("dermatologist", "adjudicator", "administrator", "researcher", "nobody", "newcomer", "stranger")


@pytest.fixture
def world() -> worlds.World:
    return worlds.build()


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])


def visitors(world: worlds.World, address: str) -> list[str]:
    """The roles to whom an address shows a page of its own."""
    answers = {role: world.client(role).get(address) for role in ROLES}
    wanted = 404 if address == worlds.MISSING else 200
    return [role for role, answer in answers.items() if answer.status_code == wanted]


def open_page(browser: Any, address: str, world: worlds.World, role: str, language: str, theme: str) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    cookies = [{"name": "django_language", "value": language, "url": address}]
    session = world.client(role).cookies.get("sessionid")
    if session:
        cookies.append({"name": "sessionid", "value": session.value, "url": address})
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(address)
    assert page.locator("html").get_attribute("lang") == language
    page.evaluate(AXE)
    return page


def test_axe_finds_nothing_on_any_page(live_server, browser, world) -> None:
    only = os.environ.get("ONLY_PAGE", "")
    looked, found = 0, []
    for name, path in world.pages().items():
        if only not in name:
            continue
        roles = visitors(world, path)
        if not roles:
            found.append(f"{name}: nobody is shown {path}")
            continue
        for role, language, theme, other in (
            (roles[0], "en", "light", "dark"),
            (roles[-1], "zh-hans", "dark", "light"),
        ):
            page = open_page(browser, live_server.url + path, world, role, language, theme)
            found += [f"{name} as {role}, {language}, {theme}: {text}" for text in page.evaluate(RUN, EVERYTHING)]
            page.emulate_media(color_scheme=other)
            found += [f"{name} as {role}, {language}, {other}: {text}" for text in page.evaluate(RUN, CONTRAST)]
            page.context.close()
            looked += 1
    assert not found, "\n".join(found)
    assert looked >= 80 or only


def test_axe_would_find_a_fault(live_server, browser, world) -> None:
    page = open_page(browser, live_server.url + "/accounts/login/", world, "stranger", "en", "light")
    page.evaluate("document.querySelector('label[for=id_username]').remove()")
    assert any(text.startswith("label: ") for text in page.evaluate(RUN, EVERYTHING))
