"""What an amendment changed, for reading."""

from dataclasses import dataclass
from typing import Any

from annotator.study import words
from scoring.models import Amendment
from scoring.worddiff import Chunk, word_diff


@dataclass(frozen=True)
class Change:
    """One part of the protocol, word by word."""

    name: str
    chunks: list[Chunk]


def amendment_changes(amendment: Amendment) -> list[Change]:
    """The parts that differ, in the protocol's order."""
    before, after = amendment.before, amendment.after
    return [
        Change(_name(key), word_diff(_words(before.get(key)), _words(after.get(key))))
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key) != after.get(key)
    ]


def _name(key: str) -> str:
    return str(words.LABELS.get(key) or key.replace("_", " ").capitalize())


def _words(value: Any) -> str:
    if value is None:
        return ""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
