"""Why answers of a classification run were not judged: not written, refused, nothing named, or not to be read."""

from collections import Counter

from django.db.models import QuerySet

from modelhub.models import BenchmarkEntry
from scoring.closed_labels import ClosedLabels
from scoring.reference_flags import REFUSAL, reference_flags

NOT_WRITTEN, REFUSED, NOTHING, SEVERAL, DOUBTED, NONE, UNJUDGED = (
    "not_written",
    "refused",
    "nothing",
    "several",
    "doubted",
    "none",
    "unjudged",
)
WHYS = (NOT_WRITTEN, REFUSED, NOTHING, SEVERAL, DOUBTED, NONE, UNJUDGED)


def unread_answers(entries: QuerySet[BenchmarkEntry], closed: ClosedLabels | None) -> dict[str, int]:
    """``WHYS`` → how many of one model's answers were not judged for it; together with the judged ones, all expected.

    ``closed``: the labels by whose words the run judges; ``None`` where a judge does.
    """
    unread = entries.filter(evaluation__diagnosis_right=None)
    columns = ("generation__version", "generation__version__text", "generation__version__diagnosis")
    counted = Counter(
        NOT_WRITTEN if version is None else why_unread(text, stated, closed)
        for version, text, stated in unread.values_list(*columns)
    )
    return {why: counted[why] for why in WHYS}


def why_unread(text: str, stated: str, closed: ClosedLabels | None) -> str:
    """Of an answer that was written and not judged."""
    if REFUSAL in reference_flags(stated=stated, text=text, label=""):
        return REFUSED
    if not stated.strip():
        return NOTHING
    if closed is None:
        return UNJUDGED
    if closed.one(stated) is not None:
        return DOUBTED
    return SEVERAL if closed.named(stated) else NONE
