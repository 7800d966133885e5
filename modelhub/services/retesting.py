"""Asking an evaluator a second time: which texts, and how well its two answers agree."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from modelhub.models import EvaluationScore, EvaluatorVersion, RetestEntry
from scoring.intervals import mean_interval
from scoring.models import NarrativeVersion
from scoring.rubric import DIMENSION_KEYS
from scoring.wilson import wilson

SHARE, LEAST = 0.03, 10
NO_PAIR = "no text has been scored twice"
FAR = (0.0, 5.0)  # two scores can be 0 to 5 points apart


def retest_sample(versions: Sequence[NarrativeVersion]) -> list[NarrativeVersion]:
    """3 % of the texts, at least 10, drawn by a hash of each one's public id: the same ones every time."""
    count = min(len(versions), max(LEAST, math.ceil(SHARE * len(versions))))
    return sorted(versions, key=lambda version: _place(version))[:count]


def _place(version: NarrativeVersion) -> bytes:
    return hashlib.blake2b(f"retest:{version.public_id.hex}".encode(), digest_size=16).digest()


def retest_figures(row: EvaluatorVersion) -> dict[str, Any]:
    """Of the texts that were scored twice, the last repeat of each.

    ``asked``, ``failed`` (second answers that could not be had or read); ``dimensions``: of each ``n`` pairs,
    ``within_one`` and ``exact`` (shares with Wilson's intervals), ``difference`` (mean absolute, in points, with its
    interval over patients or lesions) and ``reason`` where there is no pair.
    """
    entries = RetestEntry.objects.filter(evaluation_run__evaluator=row)
    done = entries.exclude(state=RetestEntry.State.PENDING).select_related("version__narrative__case", "reference")
    last = {entry.version_id: entry for entry in done.order_by("pk")}
    first = _first_scores(row, last)
    pairs: dict[str, list[tuple[float, int]]] = {key: [] for key in DIMENSION_KEYS}
    for version, entry in last.items():
        for key, second in (entry.scores or {}).items():
            if second is not None and (version, key) in first:
                pairs[key].append((abs(second - first[version, key]), entry.version.narrative.case.group_id))
    return {
        "asked": len(last),
        "failed": sum(entry.state == RetestEntry.State.FAILED for entry in last.values()),
        "dimensions": {key: _agreement(found) for key, found in pairs.items()},
    }


def _first_scores(row: EvaluatorVersion, last: dict[int, RetestEntry]) -> dict[tuple[int, str], float]:
    """The first answers beside the same reference."""
    found = EvaluationScore.objects.filter(
        evaluation__evaluator=row, evaluation__version__in=list(last), value__isnull=False
    )
    columns = ("evaluation__version_id", "evaluation__reference_sha256", "dimension", "value")
    return {
        (version, dimension): value
        for version, reference, dimension, value in found.values_list(*columns).order_by("pk")
        if reference == last[version].reference_sha256
    }


def _agreement(pairs: list[tuple[float, int]]) -> dict[str, Any]:
    if not pairs:
        return {"n": 0, "reason": NO_PAIR}
    gaps, groups = [gap for gap, _ in pairs], [group for _, group in pairs]
    return {
        "n": len(pairs),
        "reason": "",
        "within_one": wilson(sum(gap <= 1 for gap in gaps), len(gaps)),
        "exact": wilson(sum(gap < 1e-9 for gap in gaps), len(gaps)),
        "difference": mean_interval(gaps, groups, scale=FAR).as_dict(),
    }
