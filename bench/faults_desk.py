"""A rater in Chromium to whom things happen: what she entered when, and what page and tables hold of it."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bench.faults_tables import Tables
from bench.faults_work import Action, field_value, rating, vote
from bench.raters import InPlace
from bench.ratings import Place

OLD_ENOUGH_S = 1.0  # what is younger may be lost by a page that is closed
PATIENCE_S = 40.0
PAUSES_MS = (20, 150, 600, 1_200)
HELD = "() => document.getElementById('scores')?.action.split('/').at(-2) ?? ''"
STATE = """() => [location.pathname, document.querySelector('[data-saved]')?.textContent,
  ...[...document.querySelectorAll('dialog[open]')].map((d) => d.innerText)].join(' | ').replaceAll('\\n', ' ')"""


class Lost(Exception):
    """A promise that was broken, in words."""


class Stuck(Exception):
    """Her page does not go on, in words."""


@dataclass
class Round:
    """One case or pair, as it is logged: ``times`` it struck, what she was doing then, how often her page was closed
    by it; ``young``: inputs lost that were younger than a second."""

    fault: str
    times: int = 0
    during: list[str] = field(default_factory=list)
    closed: int = 0
    inputs: int = 0
    young: int = 0
    lost: int = 0
    duplicates: int = 0
    words: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.lost or self.duplicates or self.words)


@dataclass
class Desk:
    """One rater's browser; ``entered``: of the case in hand, value and moment of each input, by field."""

    browser: Any
    address: str
    place: Place
    username: str
    first_page: str = "/rate/"
    tables: Tables = field(init=False)
    entered: dict[str, tuple[str, float]] = field(default_factory=dict)
    case: str = ""
    page: Any = None
    context: Any = None
    has_clock: bool = False  # Chromium's clock can be put forward

    def __post_init__(self) -> None:
        self.tables = Tables(self.place)

    # Her page.

    def open(self) -> None:
        """The lid opens: her page, at whatever case she is; a server that is just starting is asked again."""
        if self.context is None:
            rater = InPlace(self.address, self.username, self.place.password)
            rater.log_in()
            self.context = self.browser.new_context(viewport={"width": 1440, "height": 900})
            cookies = rater.browser.cookies.items()
            self.context.add_cookies([{"name": k, "value": v, "url": self.address} for k, v in cookies])
            if self.has_clock:
                self.context.clock.install()
        self.page = self.context.new_page()
        self.arrive()

    def arrive(self) -> None:
        if not self.comes(lambda: self.page.goto(self.address + self.first_page).ok, PATIENCE_S):
            raise Stuck(f"her page does not open: {self.state()}")
        self.page.wait_for_selector("#scores", timeout=1000 * PATIENCE_S)
        self.page.wait_for_load_state("load")

    def close_lid(self) -> None:
        self.page.close()

    def start_over(self) -> None:
        if self.context is not None:
            self.context.close()
        self.context = self.page = None
        self.entered = {}

    def is_here(self) -> bool:
        """Whether her case is on the page: a browser shows its own page where a server is gone."""
        with suppress(Exception):  # just going elsewhere
            return bool(self.page.evaluate(HELD) == self.case)
        return False

    def state(self) -> str:
        with suppress(Exception):
            return str(self.page.evaluate(STATE))
        return "no page"

    def comes(self, holds: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with suppress(Exception):  # the server is not there yet, or the page is just going elsewhere
                if holds():
                    return True
            self.page.wait_for_timeout(100)
        return False

    # Her work.

    def begin(self, first_page: str) -> None:
        """At a case, or at a pair of texts."""
        is_there = self.page is not None and not self.page.is_closed() and first_page == self.first_page
        self.first_page = first_page
        if self.page is None or self.page.is_closed():
            self.open()
        elif not is_there:
            self.arrive()
        self.case, self.entered = self.page.evaluate(HELD), {}
        if not self.case:
            raise Stuck(f"no case: {self.state()}")

    def work(self, dice: random.Random) -> list[Action]:
        return vote(dice) if self.first_page == "/preferences/" else rating(dice)

    def do(self, action: Action) -> None:
        value = action.do(self.page)
        if action.field:
            self.entered[action.field] = (value, time.monotonic())

    def pause(self, dice: random.Random) -> None:
        self.page.wait_for_timeout(dice.choice(PAUSES_MS))

    # What is checked.

    def check_inputs(self, until: float, found: Round) -> None:
        """What she entered by then is on her page and in the draft; what is missing and younger she enters again.

        Raises ``Lost``.
        """
        if not self.is_here():
            self.arrive()
        self.comes(lambda: not self._missing(), OLD_ENOUGH_S)
        missing = self._missing()
        old = [name for name in missing if self.entered[name][1] <= until]
        found.inputs += len([at for _value, at in self.entered.values() if at <= until])
        found.young += len(missing) - len(old)
        if old:
            found.lost += len(old)
            shown = {name: field_value(self.page, name) for name in old}
            raise Lost(f"the page shows {shown}, entered was { {n: self.entered[n][0] for n in old} } ({self.state()})")
        for name in missing:
            del self.entered[name]
        if self.entered and not self.comes(self._is_drafted, PATIENCE_S):
            kept = self.tables.draft(self.case)
            gone = {name: value for name, (value, _at) in self.entered.items() if kept.get(name) != value}
            found.lost += len(gone)
            raise Lost(f"the draft lacks {gone} ({self.state()})")

    def _missing(self) -> list[str]:
        return [name for name, (value, _at) in self.entered.items() if field_value(self.page, name) != value]

    def _is_drafted(self) -> bool:
        kept = self.tables.draft(self.case)
        return all(kept.get(name) == value for name, (value, _at) in self.entered.items())

    def check_sent(self, found: Round) -> None:
        """Exactly one rating, or vote, with all that she entered; exactly one version of a text that she mended."""
        count, stored = self.tables.sent(self.case)
        found.duplicates += max(0, count - 1)
        found.inputs = max(found.inputs, len(self.entered))
        entered = {name: value for name, (value, _at) in self.entered.items()}
        wrong = {name: (value, stored.get(name)) for name, value in entered.items() if stored.get(name) != value}
        found.lost += len(wrong)
        if count != 1 or wrong:
            raise Lost(f"{count} stored; entered and stored differ: {wrong}")
