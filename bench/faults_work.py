"""What a rater does with one case, input by input: scores, words, a mark, a correction, the submission; or a vote."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.raters import DIMENSIONS

CHOICES = {"left": "1", "right": "2", "tie": "3", "both_bad": "4"}
QUESTIONS = (*DIMENSIONS, "overall")
MARKED_STEP = 2
EDITOR_TRIES = 20
FIRST_TYPE = "hallucinated_finding"  # key 1
EDITOR = "[data-revise-form] textarea[name=step-1]"
READ = """(name) => {
  const field = document.getElementById("scores")?.elements[name];
  const correction = name.startsWith("step-") && typeof Rating === "object" && Rating.draft?.corrections[name];
  return correction || field?.value || "";
}"""
Page = Any


@dataclass(frozen=True)
class Action:
    """One input, or a key that sends. ``field`` is empty where nothing is entered; ``do`` returns what was."""

    kind: str
    field: str
    do: Callable[[Page], str]


def rating(dice: random.Random) -> list[Action]:
    """Six scores; in between a comment on one, a mark, a comment on the whole and, half the time, a correction."""
    scores = [_score(name, str(dice.randint(0, 5))) for name in DIMENSIONS]
    work = [
        *scores[:2],
        _comment(DIMENSIONS[1], f"The border is irregular, {dice.randint(2, 30)} mm."),
        scores[2],
        _mark(),
        scores[3],
        _overall(f"Seen {dice.randint(2, 99)} of these."),
        scores[4],
    ]
    if dice.random() < 0.5:
        work += [
            _correction(f" Looked at {dice.randint(2, 999_999)} times."),
            Action("saving a revision", "", _save_revision),
        ]
    return [*work, scores[5], Action("submitting", "", _enter)]


def vote(dice: random.Random) -> list[Action]:
    """Seven choices, in between a comment; then the vote."""
    choices = [_choice(name, dice.choice(list(CHOICES))) for name in QUESTIONS]
    words = _pair_comment(f"The first names {dice.randint(2, 9)} signs.")
    return [*choices[:4], words, *choices[4:], Action("submitting a vote", "", _enter)]


def field_value(page: Page, name: str) -> str:
    return str(page.evaluate(READ, name))


def _on_row(page: Page, name: str) -> None:
    page.locator(f"fieldset[data-dimension={name}]").evaluate("(row) => row.focus()")


def _score(name: str, level: str) -> Action:
    def do(page: Page) -> str:
        _on_row(page, name)
        page.keyboard.press(level)
        return level

    return Action("scoring", name, do)


def _choice(name: str, side: str) -> Action:
    def do(page: Page) -> str:
        _on_row(page, name)
        page.keyboard.press(CHOICES[side])
        return side

    return Action("voting", name, do)


def _comment(name: str, words: str) -> Action:
    def do(page: Page) -> str:
        _on_row(page, name)
        page.keyboard.press("c")
        return _typed(page, words)

    return Action("typing", f"{name}_comment", do)


def _overall(words: str) -> Action:
    def do(page: Page) -> str:
        page.keyboard.press("C")
        return _typed(page, words)

    return Action("typing", "comment", do)


def _pair_comment(words: str) -> Action:
    def do(page: Page) -> str:
        page.keyboard.press("c")
        return _typed(page, words)

    return Action("typing", "comment", do)


def _typed(page: Page, words: str) -> str:
    """Into the field in hand, whose words it replaces."""
    page.keyboard.press("Control+A")
    page.keyboard.type(words, delay=15)
    page.keyboard.press("Escape")
    return words


def _mark() -> Action:
    def do(page: Page) -> str:
        for key in ("m", str(MARKED_STEP), "1"):
            page.keyboard.press(key)
        return FIRST_TYPE

    return Action("marking", f"mark-{MARKED_STEP}", do)


def _correction(words: str) -> Action:
    def do(page: Page) -> str:
        _open_editor(page)
        page.keyboard.press("Control+End")
        page.keyboard.type(words, delay=15)
        return str(page.locator(EDITOR).input_value())

    return Action("revising", "step-1", do)


def _open_editor(page: Page) -> None:
    """The editor comes from the server: where that is away she tries again, and goes back to her case if need be."""
    for _again in range(EDITOR_TRIES):
        if page.locator("#scores").count() == 0:
            with suppress(Exception):
                page.goto(page.url.split("/rate/")[0] + "/rate/")
        if page.locator(EDITOR).count() == 0:
            page.evaluate("document.activeElement?.blur()")
            page.keyboard.press("e")
        with suppress(Exception):
            page.locator(EDITOR).wait_for(timeout=2_000)
            break
    page.locator(EDITOR).evaluate("(field) => field.focus()", timeout=2_000)


def _save_revision(page: Page) -> str:
    _open_editor(page)
    page.keyboard.press("Control+Enter")
    return ""


def _enter(page: Page) -> str:
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Enter")
    return ""
