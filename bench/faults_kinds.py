"""What happens to a rater, kind by kind: processes killed, log-in gone, token changed, network gone, a second tab."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.faults_desk import OLD_ENOUGH_S, PATIENCE_S, Desk, Round
from bench.faults_studio import Studio
from bench.faults_work import Action

OFFLINE_MS = 600_000
SENDS = frozenset({"submitting", "submitting a vote", "saving a revision"})
NEEDS_SERVER = frozenset({"revising", "saving a revision"})


class Fault:
    """``moments``: how often in a round; ``actions``: how many of her inputs it spans; ``never``: not while these."""

    moments, actions, never = 1, 1, frozenset[str]()

    def __init__(self, name: str, dice: random.Random) -> None:
        self.name, self.dice = name, dice

    def prepare(self, desk: Desk) -> None:
        """Before the round."""

    def clear(self, desk: Desk) -> None:
        """After the last round of this kind."""

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        raise NotImplementedError

    def wait(self) -> None:
        """Returns once it is over."""

    def settle(self, desk: Desk, found: Round) -> None:
        """Returns once it is over and nothing that she entered is missing; before she sends."""


class Kill(Fault):
    """In the middle of her input, up to half a second before it or after; she goes on while the process is away."""

    moments = 3

    def __init__(self, name: str, dice: random.Random, kill: Callable[[], None]) -> None:
        super().__init__(name, dice)
        self.kill = kill
        self.running: threading.Thread | None = None

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        self.wait()
        before, after = (self.dice.uniform(0, 0.5) for _ in range(2))
        self.running = threading.Timer(before, self.kill)
        self.running.start()
        desk.page.wait_for_timeout(1000 * after)
        for action in actions:
            desk.do(action)
        sends = actions[-1].kind in SENDS
        if self.dice.random() < 0.5:
            self._close(desk, found, sends)
        elif sends:
            self.wait()

    def _close(self, desk: Desk, found: Round, sends: bool) -> None:
        desk.pause(self.dice)
        closed_at = time.monotonic()
        found.closed += 1
        desk.close_lid()
        self.wait()
        desk.open()
        if not sends:  # else it is on its way, and what is stored will be read
            desk.check_inputs(closed_at - OLD_ENOUGH_S, found)

    def wait(self) -> None:
        if self.running is not None:
            self.running.join()
            self.running = None

    def settle(self, desk: Desk, found: Round) -> None:
        if self.running is not None:
            self.wait()
            desk.check_inputs(time.monotonic(), found)


class SessionExpired(Fault):
    """Her log-in is gone; the page asks for it and goes on where it was."""

    never = NEEDS_SERVER

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        desk.tables.forget_sessions()
        for action in actions:
            desk.do(action)
        word = desk.page.locator("dialog#log-in [name=password]")
        word.wait_for(timeout=1000 * PATIENCE_S)
        word.fill(desk.place.password)
        desk.page.locator("dialog#log-in button[type=submit]").click()
        desk.page.wait_for_selector("dialog#log-in", state="hidden", timeout=1000 * PATIENCE_S)
        if actions[-1].kind not in SENDS:
            desk.check_inputs(time.monotonic(), found)


class TokenRotated(Fault):
    """Another tab's log-in has changed the token that this page sends."""

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        other = desk.context.new_page()
        other.goto(f"{desk.address}/accounts/session/")
        desk.context.clear_cookies(name="csrftoken")
        other.reload()
        other.close()
        for action in actions:
            desk.do(action)
        if actions[-1].kind not in SENDS:
            desk.check_inputs(time.monotonic(), found)


class Offline(Fault):
    """No network for ten minutes by Chromium's clock, or really for ``minutes`` where not 0; she works on."""

    actions, never = 3, NEEDS_SERVER

    def __init__(self, name: str, dice: random.Random, minutes: float) -> None:
        super().__init__(name, dice)
        self.minutes = minutes

    def prepare(self, desk: Desk) -> None:
        if not self.minutes and not desk.has_clock:
            desk.start_over()
            desk.has_clock = True

    def clear(self, desk: Desk) -> None:
        if desk.has_clock:
            desk.start_over()
            desk.has_clock = False

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        desk.context.set_offline(True)
        for action in actions:
            desk.do(action)
            desk.pause(self.dice)
        if self.minutes:
            desk.page.wait_for_timeout(60_000 * self.minutes)
        else:
            desk.page.clock.run_for(OFFLINE_MS)
        desk.context.set_offline(False)
        if actions[-1].kind not in SENDS:
            desk.check_inputs(time.monotonic(), found)


class TwoTabs(Fault):
    """She opens the case again beside the first page, just after an input, and goes on there."""

    never = SENDS

    def strike(self, desk: Desk, actions: list[Action], found: Round) -> None:
        for action in actions:
            desk.do(action)
        desk.page.wait_for_timeout(self.dice.uniform(0, 600))
        older = desk.page
        desk.open()
        older.locator("dialog#told").wait_for(timeout=1000 * PATIENCE_S)
        desk.check_inputs(time.monotonic(), found)
        older.close()


def faults(studio: Studio | None, dice: random.Random, minutes: float) -> dict[str, Fault]:
    """Every kind by its name. Without a studio only their names are of use."""
    kill: Any = studio
    every = [
        Kill("web_server_killed", dice, lambda: kill.kill()),
        Kill("web_worker_killed", dice, lambda: kill.kill_web_worker(dice)),
        Kill("job_worker_killed", dice, lambda: kill.kill_job_worker()),
        SessionExpired("session_expired", dice),
        TokenRotated("token_rotated", dice),
        Offline("offline_ten_minutes", dice, minutes),
        TwoTabs("two_tabs", dice),
    ]
    return {fault.name: fault for fault in every}
