"""Six lines "Dimension: score – justification", as DermEval writes them, read strictly. Pure.

A line counts when it begins with a dimension's own name, so "Overall accuracy: 2" is nobody's score, and "Medical
Factuality (Hallucination)", which some older exports invert, is not read as groundedness. The last line of a dimension
counts; a line that stands word for word in the candidate is the candidate's, not the evaluator's.
"""

import re

from modelhub.evaluators.reply import MOST_READ, ReadScores, after_thinking, graded
from scoring.rubric import CHINESE_DIMENSIONS, DIMENSIONS

NAMES = [dimension.name for dimension in (*DIMENSIONS, *CHINESE_DIMENSIONS)]
NAME = "|".join(re.escape(name).replace(r"\ ", r"[ _-]+") for name in NAMES)
MARKUP = r"[ \t*_#>`|]*"
LINE = re.compile(
    rf"^{MARKUP}(?:[-•]|\d{{1,2}}[.)])?{MARKUP}(?P<name>{NAME}){MARKUP}(?:[（(]?(?:score|评分)[）)]?)?{MARKUP}[:：=]"
    rf"{MARKUP}(?P<rest>[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
# the number stands alone: not "3 steps", "4,5", "4-5", "45" is out of range by itself
NUMBER = re.compile(
    r"(?P<score>\d+(?:\.\d+)?(?:\s*/\s*\d+(?:\.\d+)?)?)(?:[*_`|）)]*)"
    r"(?=\s*$|\s*[;；。—(（]|\s*[–-]\s*(?!\s*\d)|[.,:：，](?!\s*\d)(?=\s|$|[^\x00-\x7f])|\s*[|])"
)


def read_lines(text: str, candidate: str = "") -> ReadScores:
    """The scores of a text of lines; ``justification`` is the text itself."""
    said = after_thinking(text)[-MOST_READ:]
    theirs = {squeezed(line) for line in candidate.splitlines()}
    values: dict[str, str] = {}
    for line in LINE.finditer(said):
        if squeezed(line[0]) in theirs:
            continue
        number = NUMBER.match(line["rest"])
        name = re.sub(r"[ _-]+", "_", line["name"].lower())
        values[name] = number["score"] if number else line["rest"][:40]
    return graded(values, said.strip())


def squeezed(line: str) -> str:
    return " ".join(line.split()).lower()
