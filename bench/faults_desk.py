"""A rater in Chromium to whom things happen: what she entered when, and what the tables hold of it."""

import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.raters import DIMENSIONS, InPlace
from bench.ratings import Place

OLD_ENOUGH_S = 1.0  # what is younger may be lost by a page that is closed
PATIENCE_S = 40.0
READ = "(name) => document.querySelector(`[name=${name}]:checked`)?.value"
HELD = "() => document.getElementById('scores')?.dataset.assignment ?? ''"
SAVED = "[data-saved][data-saved-state=saved]"
SENT = """SELECT r.id, s.dimension, s.value FROM scoring_rating r JOIN scoring_score s ON s.rating_id = r.id
JOIN scoring_assignment a ON a.id = r.assignment_id WHERE a.public_id = ? AND r.is_current"""
DRAFT = """SELECT d.content FROM scoring_ratingdraft d JOIN scoring_assignment a ON a.id = d.assignment_id
WHERE a.public_id = ?"""


class Lost(Exception):
    """A promise that was broken, in words."""


@dataclass
class Desk:
    """One rater's browser; ``entered``: of the case in hand, value and moment of each input, by field."""

    browser: Any
    address: str
    place: Place
    username: str
    entered: dict[str, tuple[str, float]] = field(default_factory=dict)
    case: str = ""
    happened: float = 0.0
    page: Any = None
    _has_clock: bool = False
    _context: Any = None

    def open(self) -> None:
        """The lid opens: her page, at whatever case she is; a server that is just starting is asked again."""
        if self._context is None:
            rater = InPlace(self.address, self.username, self.place.password)
            rater.log_in()
            self._context = self.browser.new_context(viewport={"width": 1440, "height": 900})
            cookies = rater.browser.cookies.items()
            self._context.add_cookies([{"name": k, "value": v, "url": self.address} for k, v in cookies])
        self.page = self._context.new_page()
        if not self._comes(lambda: self.page.goto(f"{self.address}/rate/").ok, PATIENCE_S):
            raise Lost("her page does not open")
        self.page.wait_for_selector("#scores", timeout=1000 * PATIENCE_S)

    def close_lid(self) -> None:
        self.page.close()

    def start_over(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = self.page = None
        self.entered, self._has_clock = {}, False

    def round(self, happen: Callable[["Desk"], None], moment: int, dice: random.Random) -> None:
        """One case with one fault before the n-th score (from 0), before the submission (6) or just after it (7).

        Raises ``Lost``, also for a page that does not come back.
        """
        try:
            self._one(happen, moment, dice)
        except Lost:
            raise
        except Exception as broken:  # Playwright's errors: she cannot go on, which no promise allows
            raise Lost(f"{type(broken).__name__}: {str(broken).splitlines()[0]}") from broken

    def _one(self, happen: Callable[["Desk"], None], moment: int, dice: random.Random) -> None:
        if self.page is None or self.page.is_closed():
            self.open()
        self.case, self.entered = self.page.evaluate(HELD), {}
        scores = {name: str(dice.randint(0, 5)) for name in DIMENSIONS}
        for number, name in enumerate(DIMENSIONS):
            if number == moment:
                self._happens(happen)
            self._enter(name, scores[name])
            self.page.wait_for_timeout(dice.choice((20, 150, 600, 1_200)))
        if moment == len(DIMENSIONS):
            self._happens(happen)
        self._submit(scores)
        if moment > len(DIMENSIONS):
            happen(self)
            if not self._goes_on(patience=5.0):  # the key itself was younger than a second
                self._submit(scores)
        if not self._goes_on(PATIENCE_S):
            raise Lost("the next case does not come")
        self._check_rating(scores)

    def _happens(self, happen: Callable[["Desk"], None]) -> None:
        self.happened = time.monotonic()
        happen(self)
        self._check_inputs()

    def _submit(self, scores: dict[str, str]) -> None:
        """With what was lost younger than a second entered again."""
        for name, value in scores.items():
            if self.page.evaluate(READ, name) != value:
                self._enter(name, value)
        self.page.keyboard.press("Enter")

    def _goes_on(self, patience: float) -> bool:
        """Whether her page comes to another case."""
        return self._comes(lambda: self.page.evaluate(HELD) not in {"", self.case}, patience)

    def _enter(self, name: str, value: str) -> None:
        self.page.locator(f"#{name}-{value}").evaluate("(radio) => radio.focus()")
        self.page.keyboard.press(value)
        self.entered[name] = (value, time.monotonic())

    def _check_inputs(self) -> None:
        """What she entered more than a second before it happened stands in the page and in the tables."""
        old = {name: value for name, (value, at) in self.entered.items() if self.happened - at > OLD_ENOUGH_S}
        if not old:
            return
        self.page.wait_for_selector(SAVED, timeout=1000 * PATIENCE_S)
        shown = {name: self.page.evaluate(READ, name) for name in old}
        if shown != old:
            raise Lost(f"the page shows {shown}, entered was {old}")
        rows = self._rows(DRAFT)
        kept = json.loads(rows[0][0])["fields"] if rows else {}
        if {name: kept.get(name) for name in old} != old:
            raise Lost(f"the draft has {kept}, entered was {old}")

    def _check_rating(self, scores: dict[str, str]) -> None:
        rows = self._rows(SENT)
        if len({row[0] for row in rows}) != 1:
            raise Lost(f"{len({row[0] for row in rows})} ratings of one case")
        stored = {name: f"{value:g}" for _, name, value in rows}
        if stored != scores:
            raise Lost(f"stored is {stored}, entered was {scores}")

    def _rows(self, statement: str) -> list[Any]:
        return self._database().execute(statement, [UUID(self.case).hex]).fetchall()

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(Path(self.place.env["DERMCOT_VAR"]) / "db.sqlite3", timeout=20, isolation_level=None)

    def _comes(self, holds: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with suppress(Exception):  # the server is not there yet, or the page is just going elsewhere
                if holds():
                    return True
            self.page.wait_for_timeout(100)
        return False

    # What happens to her.

    def expire_session(self) -> None:
        """Her log-in is gone; the page asks for it and goes on where it was."""
        self._database().execute("DELETE FROM django_session")
        self._enter(next(name for name in DIMENSIONS if name not in self.entered), "3")
        with_dialog = self.page.locator("dialog#log-in [name=password]")
        with_dialog.wait_for(timeout=1000 * PATIENCE_S)
        with_dialog.fill(self.place.password)
        self.page.locator("dialog#log-in button[type=submit]").click()
        self.page.wait_for_selector("dialog#log-in", state="hidden", timeout=1000 * PATIENCE_S)

    def rotate_token(self) -> None:
        other = self._context.new_page()
        other.goto(f"{self.address}/accounts/session/")
        self._context.clear_cookies(name="csrftoken")
        other.reload()
        other.close()

    def go_offline(self, *, minutes: int) -> None:
        """The network goes; her page's clock is put forward; the network comes back."""
        if not self._has_clock:
            self.page.clock.install()
            self._has_clock = True
        self._context.set_offline(True)
        self.page.wait_for_timeout(300)
        self.page.clock.fast_forward(60_000 * minutes)
        self.page.wait_for_timeout(300)
        self._context.set_offline(False)

    def open_second_tab(self) -> None:
        """She opens the case again beside the first page, and goes on there."""
        older = self.page
        self.open()
        older.locator("dialog#told").wait_for(timeout=1000 * PATIENCE_S)
        older.close()
