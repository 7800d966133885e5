"""Differences between two texts, word by word; Chinese, Japanese and Korean character by character."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

EQUAL, INSERT, DELETE = "equal", "insert", "delete"
_CJK = (
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# White space belongs to the word before it: alone it would be the commonest token, which makes difflib quadratic.
LARGE = 1_000_000  # pairs of words; above it common words are no anchors, or the time grows with the cube
_TOKEN = re.compile(rf"\s+|(?:[{_CJK}]|[^\W{_CJK}]+|.)\s*", re.DOTALL)


@dataclass(frozen=True)
class Chunk:
    """``text`` that stands in both (*equal*), only after (*insert*) or only before (*delete*)."""

    op: str
    text: str


def word_diff(before: str, after: str) -> list[Chunk]:
    """What became of ``before``: equal and deleted chunks joined give it back, equal and inserted ones ``after``.

    A replacement is a deletion followed by an insertion; neighbouring chunks never have the same op.
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    chunks: list[Chunk] = []
    matcher = SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > LARGE)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            chunks.append(Chunk(EQUAL, "".join(old[i1:i2])))
            continue
        if i2 > i1:
            chunks.append(Chunk(DELETE, "".join(old[i1:i2])))
        if j2 > j1:
            chunks.append(Chunk(INSERT, "".join(new[j1:j2])))
    return chunks
