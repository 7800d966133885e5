"""What may be wrong with an imported reference text, told from its words and its label alone.

Published references hold refusals, conclusions against their own label, and labels that are the stub of a file name.
A flag is a question to a person and decides nothing: a synonym reads as another diagnosis (see ``scoring.diagnosis``).
"""

import re

from scoring.diagnosis import names_reference

REFUSAL, CONTRARY, STUB = "refusal", "contrary", "stub"
_ACT = "(?:help|assist|provide|analy[sz]e|view|see|diagnos|comply|fulfil|process|offer|give)"
_REFUSAL = re.compile(
    r"\bI(?:['’]m| am) (?:very |really )?sorry\b|\bI apologi[sz]e\b"
    rf"|\bI(?:['’]m| am) (?:unable|not able) to {_ACT}"
    rf"|\bI (?:can(?:no|['’])t|can not|won['’]t|am not allowed to) {_ACT}"
    r"|\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b"
    r"|(?:很|非常)?抱歉|对不起|作为(?:一个)?(?:AI|人工智能|语言模型)|我(?:无法|不能)(?:提供|协助|帮助|回答|分析|诊断|查看)",
    re.IGNORECASE,
)
_FILE = re.compile(r"\.(?:jpe?g|png|gif|bmp|webp|tiff?)\b", re.IGNORECASE)
_CODE = re.compile(r"[\d_]|-.*-")  # in one word: a digit, an underscore or two hyphens


def reference_flags(*, stated: str, text: str, label: str) -> tuple[str, ...]:
    """The flags of a text whose final diagnosis is ``stated``, under the ``label`` that came with it, in order."""
    found = {
        REFUSAL: bool(_REFUSAL.search(text)),
        CONTRARY: names_reference(stated, label) is False,
        STUB: is_stub(label),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def is_stub(label: str) -> bool:
    """Whether a label is a piece of a file name: “acne-cystic-12”, “07Acne081101”, “psoriasis_4.jpg”, “1234”."""
    words = label.split()
    if _FILE.search(label) or not any(letter.isalpha() for letter in label):
        return True
    return len(words) == 1 and bool(_CODE.search(words[0]))
