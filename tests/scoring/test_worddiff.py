"""The word diff: exact in every case, readable in the usual ones."""

import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.worddiff import DELETE, EQUAL, INSERT, Chunk, word_diff

SNIPPETS = st.sampled_from(
    ["brown", " ", "\n", "plaque", "。", "黑色素瘤", "的", "斑块", "e.g. ", "5 mm", "\u200b", "é", "𠀀", "<b>"]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(SNIPPETS, max_size=25).map("".join))


@given(TEXTS, TEXTS)
@settings(max_examples=400, deadline=None)
def test_both_texts_come_back_exactly(before: str, after: str) -> None:
    chunks = word_diff(before, after)
    assert "".join(c.text for c in chunks if c.op != INSERT) == before
    assert "".join(c.text for c in chunks if c.op != DELETE) == after
    assert all(chunk.text for chunk in chunks)
    assert all(a.op != b.op for a, b in itertools.pairwise(chunks))


@given(TEXTS)
def test_equal_texts_have_no_changes(text: str) -> None:
    assert word_diff(text, text) == ([Chunk(EQUAL, text)] if text else [])


def test_one_word_changes() -> None:
    assert word_diff("A small brown plaque.", "A small red plaque.") == [
        Chunk(EQUAL, "A small "),
        Chunk(DELETE, "brown "),
        Chunk(INSERT, "red "),
        Chunk(EQUAL, "plaque."),
    ]


def test_chinese_changes_by_character() -> None:
    assert word_diff("考虑黑色素瘤。", "考虑基底细胞瘤。") == [
        Chunk(EQUAL, "考虑"),
        Chunk(DELETE, "黑色素"),
        Chunk(INSERT, "基底细胞"),
        Chunk(EQUAL, "瘤。"),
    ]


def test_two_long_unlike_texts_are_compared_in_time() -> None:
    before = " ".join(f"word{n % 700} the" for n in range(2500))
    after = " ".join(f"term{n % 700} the of" for n in range(2000))
    start = time.perf_counter()
    word_diff(before, after)
    assert time.perf_counter() - start < 20
