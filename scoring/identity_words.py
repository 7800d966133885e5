"""Finds and hides the words that would tell a rater who or what wrote a text.

"SkinGPT-R1" is found as "skingpt r1", "SkinGPT_R1", in full-width letters or with invisible characters inside it, and
not inside a longer word. Nothing but the words themselves is changed.
"""

import re
import unicodedata
from collections.abc import Iterable

PLACEHOLDER = "▇▇▇"
SHORTEST = 2
_PART = re.compile(r"[^\W_]+")
_BETWEEN = r"[\W_]{0,3}"


def pattern_of(words: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for all words, the longest first; ``None`` when none has two letters or figures."""
    found: set[tuple[str, ...]] = set()
    for word in words:
        parts = tuple(_PART.findall(_fold(word)[0]))
        if sum(map(len, parts)) >= SHORTEST:
            found.add(parts)
    if not found:
        return None
    ordered = sorted(found, key=lambda parts: (-sum(map(len, parts)), parts))
    return re.compile("|".join(_one(parts) for parts in ordered))


def hits(text: str, words: Iterable[str]) -> list[str]:
    """What was found, as it stands in the text, each once."""
    return list(dict.fromkeys(text[start:end] for start, end in _spans(text, pattern_of(words))))


def scrub(text: str, words: Iterable[str]) -> str:
    """The text with each such word replaced by a visible placeholder."""
    kept, position = [], 0
    for start, end in _spans(text, pattern_of(words)):
        kept += [text[position:start], PLACEHOLDER]
        position = end
    return "".join(kept) + text[position:]


def _one(parts: tuple[str, ...]) -> str:
    # Chinese words stand without spaces, so only letters and figures of other scripts ask for a boundary.
    before = r"(?<![^\W_])" if parts[0][0] < "\u2e80" else ""
    after = r"(?![^\W_])" if parts[-1][-1] < "\u2e80" else ""
    return before + _BETWEEN.join(map(re.escape, parts)) + after


def _spans(text: str, pattern: re.Pattern[str] | None) -> list[tuple[int, int]]:
    if pattern is None:
        return []
    folded, places = _fold(text)
    return [(places[found.start()], places[found.end() - 1] + 1) for found in pattern.finditer(folded)]


def _fold(text: str) -> tuple[str, list[int]]:
    """The text without case, width and invisible characters; for each character its place in ``text``."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if unicodedata.category(character) in {"Cf", "Mn", "Cc"} and not character.isspace():
            continue
        for plain in unicodedata.normalize("NFKD", character).casefold():
            if unicodedata.category(plain) != "Mn":
                folded.append(plain)
                places.append(place)
    return "".join(folded), places
