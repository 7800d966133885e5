"""One round: she works through a case, the fault strikes at a random input, she goes on, and what is stored is read."""

import random

from bench.faults_desk import PATIENCE_S, Desk, Lost, Round, Stuck
from bench.faults_kinds import SENDS, Fault
from bench.faults_work import EDITOR, Action, field_value
from bench.reporting import note

TRIES = 4
SOON_S = 5.0


def play(desk: Desk, fault: Fault, first_page: str, found: Round, dice: random.Random) -> None:
    """Raises ``Lost`` for what is missing or doubled and ``Stuck`` for a page that does not go on."""
    desk.begin(first_page)
    work = desk.work(dice)
    possible = [n for n, action in enumerate(work) if action.kind not in fault.never]
    moments = dice.sample(possible, fault.moments)
    number = 0
    while number < len(work):
        action = work[number]
        if action.kind in SENDS:
            fault.settle(desk, found)
            _enter_again(desk, work[:number])
        struck = [action]
        if number in moments:
            found.times += 1
            found.during.append(action.kind)
            struck = _spanned(work, number, fault)
            fault.strike(desk, struck, found)
        else:
            desk.do(action)
        number += len(struck)
        if struck[-1].kind in SENDS:
            _sent(desk, work[:number], found)
        desk.pause(dice)
    fault.settle(desk, found)
    desk.check_sent(found)


def _spanned(work: list[Action], number: int, fault: Fault) -> list[Action]:
    spanned = [work[number]]
    for action in work[number + 1 : number + fault.actions]:
        if action.kind in fault.never or spanned[-1].kind in SENDS:
            break
        spanned.append(action)
    return spanned


def _enter_again(desk: Desk, done: list[Action]) -> None:
    """What was younger than a second and is gone."""
    for action in done:
        if action.field and action.field not in desk.entered and not _is_saved_revision(action, done):
            desk.do(action)


def _is_saved_revision(action: Action, done: list[Action]) -> bool:
    return action.kind == "revising" and any(other.kind == "saving a revision" for other in done)


def _sent(desk: Desk, done: list[Action], found: Round) -> None:
    """Until it has arrived: the page sends again by itself; she does where a browser showed its own page instead."""
    is_revision = done[-1].kind == "saving a revision"
    for _again in range(TRIES):
        if desk.comes(lambda: _has_arrived(desk, is_revision), SOON_S):
            break
        if desk.is_here() and not found.closed and desk.comes(lambda: _has_arrived(desk, is_revision), PATIENCE_S):
            break
        note(f"    sent again: {desk.state()}")
        if not desk.is_here():
            desk.arrive()
        if not _has_arrived(desk, is_revision):
            _enter_again(desk, done[:-1])
            done[-1].do(desk.page)
    else:
        raise Stuck(f"{done[-1].kind} does not arrive: {desk.state()}")
    if is_revision:
        _check_revision(desk, found)


def _has_arrived(desk: Desk, is_revision: bool) -> bool:
    if is_revision:
        is_shown = desk.is_here() and not desk.page.locator(EDITOR).count()
        return is_shown and bool(_versions(desk))
    return not desk.is_here() and bool(desk.page.locator("#scores").count())


def _versions(desk: Desk) -> list[str]:
    """The versions that hold her correction of this round."""
    words, _at = desk.entered["step-1"]
    return [text for text in desk.tables.revisions(desk.case) if words in text]


def _check_revision(desk: Desk, found: Round) -> None:
    number = len(_versions(desk))
    del desk.entered["step-1"]
    found.duplicates += number - 1
    if number != 1:
        raise Lost(f"{number} versions of her correction")
    desk.page.wait_for_load_state("load")
    if field_value(desk.page, "step-1"):
        raise Lost("a correction that was saved still waits in the page")
