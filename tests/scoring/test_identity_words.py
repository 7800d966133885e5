"""Words that tell who wrote a text: found in disguise, never inside other words, replaced and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.identity_words import PLACEHOLDER, hits, scrub


@pytest.mark.parametrize(
    "written",
    [
        "SkinGPT-R1",
        "skingpt r1",
        "SKINGPT_R1",
        "SkinGPTR1",
        "ＳｋｉｎＧＰＴ‑Ｒ１",
        "Skin\u200bGPT\u2011R1",
        "Sk\u00adinGPT – R1",
        "SkínGPT-R1",
        "**SkinGPT-R1**",
        "SkinGPT-R1's",
    ],
)
def test_a_name_is_found_in_disguise(written) -> None:
    text = f"As {written}, I see a plaque."
    assert hits(text, ["SkinGPT-R1"])
    cleaned = scrub(text, ["SkinGPT-R1"])
    assert cleaned.startswith("As ") and cleaned.endswith(", I see a plaque.")
    assert PLACEHOLDER in cleaned
    assert not hits(cleaned, ["SkinGPT-R1"])


@pytest.mark.parametrize("text", ["a SkinGPT-R12", "MySkinGPT-R1", "skin, GPT and R1", "no name", ""])
def test_longer_words_and_other_texts_are_left_alone(text) -> None:
    assert hits(text, ["SkinGPT-R1"]) == []
    assert scrub(text, ["SkinGPT-R1"]) == text


def test_chinese_names_need_no_spaces() -> None:
    assert scrub("我是通义千问模型。", ["通义千问"]) == f"我是{PLACEHOLDER}模型。"


def test_the_longest_word_wins_and_everything_else_stays() -> None:
    text = "GPT-4o said: 😀 plaque — then GPT again."
    assert hits(text, ["GPT", "GPT-4o"]) == ["GPT-4o", "GPT"]
    assert scrub(text, ["GPT", "GPT-4o"]) == f"{PLACEHOLDER} said: 😀 plaque — then {PLACEHOLDER} again."


@pytest.mark.parametrize("words", [[], [""], ["-"], ["x"], ["—…"]])
def test_nothing_to_look_for_changes_nothing(words) -> None:
    assert scrub("an x – a text", words) == "an x – a text"


@given(st.text(), st.text())
def test_any_text_around_a_name_is_kept_to_the_letter(before, after) -> None:
    text = f"{before} Qwen {after}"
    cleaned = scrub(text, ["Qwen"])
    assert cleaned.replace(PLACEHOLDER, "") in {text.replace("Qwen", "")} or hits(before + after, ["Qwen"])
    assert not hits(cleaned, ["Qwen"])
