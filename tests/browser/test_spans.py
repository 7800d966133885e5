"""Offsets in the browser are the server's: the same code points, whatever the script, however often drawn again."""

import random
from pathlib import Path

import pytest

from scoring.narrative_format import parse
from tests.scoring.test_marks import JOINED, SCRIPTS, SPACES
from tests.surroundings import chromium_path

pytestmark = pytest.mark.browser
SCRIPTS_FOLDER = Path(__file__).parents[2] / "static" / "js" / "rating"
PIECES = [*SCRIPTS, *JOINED, *SPACES]
# Draws each span, selects what was drawn, and asks for its place; then draws the next one over it.
ROUND_TRIP = """(cases) => {
  const element = document.createElement("p");
  document.body.append(element);
  return cases.map(({ text, spans }) => {
    element.textContent = text;
    return spans.map(([start, end]) => {
      Rating.spans.paint(element, { start, end });
      const mark = element.querySelector("mark");
      const range = document.createRange();
      range.selectNodeContents(mark);
      const found = Rating.spans.of(element, range);
      const words = Rating.spans.words(element.textContent, "zh");
      const inside = words.every((word) => 0 <= word.start && word.start < word.end && word.end <= [...text].length);
      return { marked: mark.textContent, start: found.start, end: found.end, whole: element.textContent, inside };
    });
  });
}"""


def test_a_thousand_spans_over_every_script_come_back_exactly() -> None:
    from playwright.sync_api import sync_playwright

    chance = random.Random(7)
    cases = []
    while sum(len(case["spans"]) for case in cases) < 1000:
        raw = "".join(chance.choices(PIECES, k=chance.randint(1, 25)))
        steps = parse(raw).steps
        text = raw[steps[0].start : steps[0].end] if steps else raw
        places = [sorted(chance.sample(range(len(text) + 1), 2)) for _ in range(4)]
        cases.append({"text": text, "spans": places})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        page = browser.new_page()
        for name in ("case.js", "spans.js"):
            page.add_script_tag(path=SCRIPTS_FOLDER / name)
        answers = page.evaluate(ROUND_TRIP, cases)
        browser.close()
    checked = 0
    for case, found in zip(cases, answers, strict=True):
        for (start, end), answer in zip(case["spans"], found, strict=True):
            assert answer["marked"] == case["text"][start:end]
            assert (answer["start"], answer["end"]) == (start, end)
            assert answer["whole"] == case["text"]
            assert answer["inside"]
            checked += 1
    assert checked >= 1000
