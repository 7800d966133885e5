"""A rater at her desk: logged in, in Chromium, before a queue of narratives on a live server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.urls import reverse

from tests.surroundings import chromium_path

# Playwright's synchronous driver keeps an event loop in this thread; Django would refuse the database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
PASSWORD = "a-long-test-word"  # of every user of tests.factories
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@dataclass
class Desk:
    """``noise``: everything that the console said and every error of a script."""

    browser: Any
    address: str
    rater: Any
    noise: list[str] = field(default_factory=list)

    def context(self, **settings: Any) -> Any:
        client = Client()
        client.force_login(self.rater)
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | settings)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": self.address}
        context.add_cookies([cookie])
        context.add_init_script(WATCH)
        return context

    def open(self, context: Any = None, **settings: Any) -> Any:
        page = (context or self.context(**settings)).new_page()
        page.on("console", lambda m: self.noise.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.noise.append(str(error)))
        page.goto(self.address + reverse("rating:next"))
        return page


@contextmanager
def desk_for(rater: Any, address: str) -> Iterator[Desk]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield Desk(browser, address, rater)
        browser.close()
