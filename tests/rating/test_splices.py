"""Corrections as a browser's journal keeps them are put into their steps, counted as JavaScript counts."""

import random
from types import SimpleNamespace

import pytest

from annotator.rating.splices import with_steps

LETTERS = "ab é\u0301漢字🩺👩🏽‍⚕️\u200f\r\n"


def version(*texts: str) -> SimpleNamespace:
    steps = [{"number": number, "text": text} for number, text in enumerate(texts, start=1)]
    return SimpleNamespace(step_texts=lambda: steps)


def units(text: str) -> list[bytes]:
    encoded = text.encode("utf-16-le")
    return [encoded[at : at + 2] for at in range(0, len(encoded), 2)]


def spliced(before: str, after: str) -> dict[str, object]:
    """As journal.js does it: the common start, then the common end, in units of UTF-16."""
    old, new = units(before), units(after)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    words = b"".join(new[start : len(new) - end]).decode("utf-16-le", "surrogatepass")
    return {"start": start, "end": end, "length": len(old), "text": words}


def test_a_thousand_corrections_come_back_exactly() -> None:
    dice = random.Random(7)
    for _ in range(1_000):
        before, after = ("".join(dice.choices(LETTERS, k=dice.randint(0, 12))) for _ in range(2))
        fields = with_steps({"step-2": spliced(before, after), "accuracy": "3"}, version("first", before))
        assert fields == {"step-2": after, "accuracy": "3"}


@pytest.mark.parametrize(
    "splice",
    [
        {"start": 0, "end": 0, "length": 4, "text": "x"},
        {"start": 2, "end": 2, "length": 3, "text": "x"},
        {"start": -1, "end": 0, "length": 3, "text": "x"},
        {"start": True, "end": 0, "length": 3, "text": "x"},
        {"start": 0, "end": 0, "length": 3, "text": None},
        {},
    ],
)
def test_one_that_does_not_fit_its_step_is_left_out(splice) -> None:
    assert with_steps({"step-1": splice, "comment": "c"}, version("abc")) == {"comment": "c"}


def test_a_step_that_is_not_there_is_left_to_be_dropped() -> None:
    splice = {"start": 0, "end": 0, "length": 3, "text": "x"}
    assert with_steps({"step-9": splice, "step-1": "whole"}, version("abc")) == {"step-9": splice, "step-1": "whole"}
