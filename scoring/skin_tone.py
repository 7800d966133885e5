"""Skin tones on their named scales, and their reading as three levels.

SkinGPT-R1's training records carry ``skin_labels``: 0 light, 1 medium, 2 dark. Fitzpatrick types
map as DDI groups them: I-II light, III-IV medium, V-VI dark. Any other scale has no agreed
mapping and stays unlabelled.
"""

import re

LEVEL_NAMES = ("light", "medium", "dark")
THREE_LEVEL_SCALES = frozenset({"threelevel", "lightmediumdark", "3level", "threelevels"})
_FITZPATRICK = {
    **dict.fromkeys(("1", "2", "12", "1-2", "i", "ii", "i-ii"), 0),
    **dict.fromkeys(("3", "4", "34", "3-4", "iii", "iv", "iii-iv"), 1),
    **dict.fromkeys(("5", "6", "56", "5-6", "v", "vi", "v-vi"), 2),
}


def three_levels(tone: str, scale: str) -> int | None:
    """0 light, 1 medium, 2 dark; ``None`` when the tone is unknown or its scale has no mapping."""
    scale_key = re.sub(r"[^a-z0-9]", "", scale.casefold())
    tone_key = re.sub(r"\s", "", tone.casefold()).replace("–", "-").replace("/", "-")
    if scale_key in THREE_LEVEL_SCALES:
        return LEVEL_NAMES.index(tone_key) if tone_key in LEVEL_NAMES else None
    if "fitzpatrick" in scale_key:
        return _FITZPATRICK.get(tone_key.removeprefix("type").removeprefix("fst"))
    return None
