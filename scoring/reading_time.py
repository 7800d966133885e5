"""How long a text takes to read at the very least; a rating given faster than that was given without reading it.

Silent reading of English non-fiction averages 238 words a minute, few readers exceed 400 (Brysbaert 2019, Journal of
Memory and Language 109). Twice that of the fast is taken as the limit, so that only what nobody can read counts; for
Chinese, where a word has about one and a half characters, 900 characters a minute.
"""

import re

WORDS_PER_SECOND = 800 / 60
CHARACTERS_PER_SECOND = 900 / 60  # Chinese, Japanese, Korean
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"\w+")


def fastest_reading(text: str) -> float:
    """Seconds below which ``text`` cannot have been read."""
    characters = len(_CJK.findall(text))
    words = len(_WORD.findall(_CJK.sub(" ", text)))
    return words / WORDS_PER_SECOND + characters / CHARACTERS_PER_SECOND


def is_faster_than_reading(text: str, active_seconds: int | None) -> bool:
    """Whether a rating of ``text`` took less than reading it; ``False`` where the time is not known."""
    return active_seconds is not None and active_seconds < fastest_reading(text)
