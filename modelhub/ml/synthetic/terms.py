"""The words for each attribute value: the exact term first, then vague ones a lenient reader accepts."""

from __future__ import annotations

import re

VAGUE: dict[str, dict[str, tuple[str, ...]]] = {
    "skin_tone": {
        "light": ("pale-ish", "pale", "fair"),
        "medium": ("tan-ish", "tanned", "olive"),
        "dark": ("deep-ish", "deeply pigmented"),
    },
    "number": {
        "solitary": ("one or so", "single", "just one", "only one"),
        "paired": ("a couple", "two"),
        "multiple": ("a bunch", "several", "many", "lots"),
    },
    "size": {
        "small": ("smallish", "tiny", "little"),
        "intermediate": ("middling", "medium-sized", "mid-sized"),
        "large": ("biggish", "big", "huge"),
    },
    "shape": {
        "round": ("roundish", "circular"),
        "oval": ("longish", "elliptical", "elongated"),
        "annular": ("ring-ish", "ring-shaped", "ring"),
    },
    "colour": {
        "red": ("reddish", "pinkish", "erythematous"),
        "brown": ("brownish", "tan-coloured"),
        "black": ("blackish", "very dark", "blue-black"),
    },
    "border": {
        "well-defined": ("clear-ish", "well defined", "sharp", "well-demarcated"),
        "ill-defined": ("fuzzy", "ill defined", "blurred", "indistinct"),
        "irregular": ("uneven", "jagged", "notched"),
    },
}

# "Dark" may be the skin's or the lesion's, and so may "brown": a skin-tone word counts only
# in a sentence about skin, a colour word only outside one.
_SKIN = re.compile(r"\bskin\b|\btone\b", re.I)
_NOT = re.compile(r"\b(?:not|no|never|nor|without|rather than|instead of|isn't|aren't)\s+(?:\w+\s+){0,2}$", re.I)


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    longest = sorted(words, key=len, reverse=True)
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, longest)) + r")(?![\w-])", re.I)


EXACT_PATTERNS = {name: {value: _pattern((value,)) for value in values} for name, values in VAGUE.items()}
ANY_PATTERNS = {
    name: {value: _pattern((value, *words)) for value, words in values.items()} for name, values in VAGUE.items()
}


def values_in(sentence: str, attribute: str, *, exact: bool = False) -> list[str]:
    """Values of ``attribute`` that ``sentence`` affirms (negated words do not count)."""
    about_skin = _SKIN.search(sentence) is not None
    if (attribute == "skin_tone" and not about_skin) or (attribute == "colour" and about_skin):
        return []
    patterns = EXACT_PATTERNS if exact else ANY_PATTERNS
    return [value for value, pattern in patterns[attribute].items() if _affirms(pattern, sentence)]


def _affirms(pattern: re.Pattern[str], sentence: str) -> bool:
    return any(not _NOT.search(sentence[: found.start()]) for found in pattern.finditer(sentence))


def replace_value(sentence: str, attribute: str, value: str) -> str:
    """``sentence`` with every other or vague term of ``attribute`` replaced by ``value``."""
    words = {word for other, vague in VAGUE[attribute].items() for word in (other, *vague)} - {value}
    return _pattern(tuple(words)).sub(value, sentence)
