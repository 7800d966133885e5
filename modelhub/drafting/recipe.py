"""The stages of a draft and the words that each is asked with. The words are files beside this one, each hashed."""

import re
from functools import cache
from pathlib import Path

CAPTION, REASONING, NARRATIVE = "caption", "reasoning", "narrative"
STAGES = (CAPTION, REASONING, NARRATIVE)
READER = 1  # raised when the same answers would be read in another way
FOLDER = Path(__file__).parent / "prompts"
NAMES = {
    "caption": "DermCoT caption",
    "caption_again": "DermCoT caption after a leak",
    "reasoning": "DermCoT reasoning",
    "reasoning_told": "DermCoT reasoning with the label",
    "narrative": "DermCoT narrative",
    "narrative_again": "DermCoT narrative after a leak",
}
_FIELD = re.compile(r"\[\[(\w+)\]\]")


@cache
def prompt_words(key: str) -> str:
    """The template of a prompt, by its key in ``NAMES``."""
    return (FOLDER / f"{key}.txt").read_text(encoding="utf-8").strip()


def prompts_of(*, tells_label: bool, retry_leaks: bool) -> tuple[str, ...]:
    """Keys of the prompts that a recipe may use, in the order of its stages."""
    again = {"caption_again", "narrative_again"}
    reasoning = {"reasoning": not tells_label, "reasoning_told": tells_label}
    return tuple(key for key in NAMES if reasoning.get(key, True) and (retry_leaks or key not in again))


def prompt_of(stage: str, *, tells_label: bool, after_leak: bool) -> str:
    """Key of the prompt of one call."""
    if stage == REASONING:
        return "reasoning_told" if tells_label else "reasoning"
    return f"{stage}_again" if after_leak else stage


def fill(template: str, *, caption: str = "", reasoning: str = "", label: str = "") -> str:
    """The words of one call. Only the template's own fields are filled, never what a text happens to hold."""
    values = {"caption": caption, "reasoning": reasoning, "label": label}
    return _FIELD.sub(lambda field: values[field[1]], template)
