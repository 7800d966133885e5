"""Whether a text's final diagnosis names the case's reference diagnosis, told from the words alone.

A synonym that shares no word ("mole" for "naevus") reads as another diagnosis: the rule that uses this only sends a
text to an adjudicator, so it errs on the safe side.
"""

import re
import unicodedata

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[a-z0-9]+")
_SPELLINGS = (("ae", "e"), ("oe", "e"), ("our", "or"))  # naevus, seborrhoeic, tumour
_EMPTY = frozenset({"of", "the", "a", "an", "and", "with", "nos"})


def names_reference(stated: str, reference: str) -> bool | None:
    """Whether every word of ``reference`` is in the sentence ``stated``, in any order and either spelling.

    ``None`` where that cannot be told: nothing is stated, or one is in Chinese and the other is not.
    """
    if not stated.strip() or not reference.strip() or bool(_HAN.search(stated)) != bool(_HAN.search(reference)):
        return None
    if _HAN.search(reference):
        return "".join(reference.split()) in "".join(stated.split())
    wanted = words_of(reference)
    return wanted <= words_of(stated) if wanted else None


def words_of(text: str) -> frozenset[str]:
    """The English words of a text that tell diagnoses apart, each in one spelling and without a plural's s."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    found = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return frozenset(word_form(word) for word in found) - _EMPTY


def word_form(word: str) -> str:
    """A lower-case English word in one spelling and without its plural s."""
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
