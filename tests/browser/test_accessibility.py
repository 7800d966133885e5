"""axe-core finds nothing on any page: every address of the site, both languages, both themes.

Each page is looked at twice: in English by daylight and then, without loading it again, in the dark for its contrast;
in Chinese and the dark. Colours do not depend on the language. A person's browser stays open from page to page.
"""

import os
from collections.abc import Iterable, Iterator
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


def visitors(world: worlds.World, address: str) -> tuple[str, str] | None:
    """The first and the last role to whom an address shows a page of its own."""
    wanted = 404 if address == worlds.MISSING else 200

    def shown_to(roles: Iterable[str]) -> str | None:
        return next((role for role in roles if world.client(role).get(address).status_code == wanted), None)

    first = shown_to(ROLES)
    return None if first is None else (first, shown_to(reversed(ROLES)) or first)


class Visits:
    """Open browsers, one for each person in each language."""

    def __init__(self, browser: Any, address: str, world: worlds.World) -> None:
        self.browser, self.address, self.world = browser, address, world
        self._pages: dict[tuple[str, str], Any] = {}

    def page(self, path: str, role: str, language: str, theme: str) -> Any:
        if (role, language) not in self._pages:
            self._pages[role, language] = self._open(role, language)
        page = self._pages[role, language]
        page.emulate_media(color_scheme=theme)
        page.goto(self.address + path)
        assert page.locator("html").get_attribute("lang") == language
        return page

    def _open(self, role: str, language: str) -> Any:
        context = self.browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        cookies = [{"name": "django_language", "value": language, "url": self.address}]
        session = self.world.client(role).cookies.get("sessionid")
        if session:
            cookies.append({"name": "sessionid", "value": session.value, "url": self.address})
        context.add_cookies(cookies)
        context.add_init_script(AXE)
        return context.new_page()


def test_axe_finds_nothing_on_any_page(live_server, browser, world) -> None:
    only = os.environ.get("ONLY_PAGE", "")
    looked, found, visits = 0, [], Visits(browser, live_server.url, world)
    for name, path in world.pages().items():
        if only not in name:
            continue
        roles = visitors(world, path)
        if roles is None:
            found.append(f"{name}: nobody is shown {path}")
            continue
        for role, language, theme in ((roles[0], "en", "light"), (roles[1], "zh-hans", "dark")):
            page = visits.page(path, role, language, theme)
            found += [f"{name} as {role}, {language}, {theme}: {text}" for text in page.evaluate(RUN, EVERYTHING)]
            if theme == "light":
                page.emulate_media(color_scheme="dark")
                found += [f"{name} as {role}, {language}, dark: {text}" for text in page.evaluate(RUN, CONTRAST)]
            looked += 1
    assert not found, "\n".join(found)
    assert looked >= 80 or only


def test_axe_would_find_a_fault(live_server, browser, world) -> None:
    page = Visits(browser, live_server.url, world).page("/accounts/login/", "stranger", "en", "light")
    page.evaluate("document.querySelector('label[for=id_username]').remove()")
    assert any(text.startswith("label: ") for text in page.evaluate(RUN, EVERYTHING))
