"""Holding an evaluator against physicians: as a whole, in parts, against its former version; for workers only."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelhub.evaluators.calibration import LEAST_IN_GROUP, calibrate, compare
from modelhub.models import Evaluation, EvaluationScore, EvaluatorVersion
from modelhub.services.paired_scores import STRATA, PairedScores, paired_scores
from modelhub.services.retesting import retest_figures
from scoring.rubric import DIMENSION_KEYS
from scoring.wilson import wilson

Triple = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
WATCHED = ("bias", "mae", "skill")  # figures whose leaving the old interval raises an alarm
IN_PARTS = 1_000  # resamples of a part


def compute_calibration(row: EvaluatorVersion) -> dict[str, Any]:
    """Against the physicians' first sealed scores of the same versions under the same rubric.

    ``texts``, ``ratings``, ``simulated`` and ``learned_from`` as in ``PairedScores``; ``dimensions``: as ``calibrate``
    gives them; ``groups``: see :func:`in_parts`; ``parse``: by dimension how many answers hold a readable score;
    ``retest``: see ``retest_figures``; ``former``: see :func:`against_former`.
    """
    scores = paired_scores(row)
    return {
        "texts": len(scores.versions),
        "ratings": scores.ratings,
        "learned_from": scores.learned_from,
        "simulated": scores.simulated,
        "dimensions": {key: calibrate(*_of(scores, key, scores.both(key))) for key in DIMENSION_KEYS},
        "groups": in_parts(scores),
        "parse": parse_rates(row),
        "retest": retest_figures(row),
        "former": against_former(row, scores),
    }


def in_parts(scores: PairedScores) -> dict[str, list[dict[str, Any]]]:
    """By stratification (condition, skin tone, source, how a text was made) its parts, the largest first.

    A part has ``scale`` and ``value`` (a tone is never mixed with one of another scale; empty: not known), ``n`` texts
    with both scores of any dimension and, of each dimension, what ``compare`` gives; fewer than 30 texts say nothing.
    """
    any_both = np.any([scores.both(key) for key in DIMENSION_KEYS], axis=0)
    found: dict[str, list[dict[str, Any]]] = {}
    for by in STRATA:
        members: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at in np.flatnonzero(any_both):
            members[scores.facts[at][by]].append(int(at))
        ordered = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
        found[by] = [_part(scores, name, _mask(scores, places)) for name, places in ordered]
    return found


def _part(scores: PairedScores, name: tuple[str, str], inside: NDArray[np.bool_]) -> dict[str, Any]:
    dimensions = {
        key: compare(*_of(scores, key, inside & scores.both(key)), IN_PARTS, least=LEAST_IN_GROUP)
        for key in DIMENSION_KEYS
    }
    return {"scale": name[0], "value": name[1], "n": int(inside.sum()), "dimensions": dimensions}


def parse_rates(row: EvaluatorVersion) -> dict[str, dict[str, Any]]:
    """By dimension the share of the evaluator's answers in which a score could be read, with Wilson's interval."""
    answers = Evaluation.objects.filter(evaluator=row, scores__isnull=False).distinct().count()
    read = EvaluationScore.objects.filter(evaluation__evaluator=row, value__isnull=False)
    return {key: wilson(read.filter(dimension=key).count(), answers) for key in DIMENSION_KEYS}


def against_former(row: EvaluatorVersion, scores: PairedScores) -> dict[str, Any] | None:
    """The evaluator of the same name and rubric before this one, on the texts that both scored; ``None`` without one.

    ``evaluator`` (public id), ``identity``, ``n`` shared texts, ``reason`` where they are too few, and ``alarms``: each
    ``dimension`` and ``figure`` whose new ``value`` lies outside ``low`` to ``high``, the old version's interval.
    """
    older = EvaluatorVersion.objects.filter(provider=row.provider, name=row.name, rubric=row.rubric, pk__lt=row.pk)
    former = older.filter(evaluations__isnull=False).distinct().order_by("-pk").first()
    if former is None:
        return None
    old = paired_scores(former)
    alarms, largest = [], 0
    for key in DIMENSION_KEYS:
        shared = np.intersect1d(scores.versions[scores.both(key)], old.versions[old.both(key)])
        largest = max(largest, len(shared))
        before, now = (
            compare(*_of(one, key, np.isin(one.versions, shared)), IN_PARTS, least=LEAST_IN_GROUP)
            for one in (old, scores)
        )
        if not before["reason"]:
            alarms += [_alarm(key, name, before[name], now[name]["value"]) for name in WATCHED]
    return {
        "evaluator": str(former.public_id),
        "identity": former.identity_hash,
        "n": largest,
        "reason": f"fewer than {LEAST_IN_GROUP} texts were scored by both" if largest < LEAST_IN_GROUP else "",
        "alarms": [alarm for alarm in alarms if alarm is not None],
    }


def _alarm(dimension: str, figure: str, before: dict[str, Any], value: float | None) -> dict[str, Any] | None:
    if value is None or before["low"] is None or before["low"] <= value <= before["high"]:
        return None
    interval = {name: before[name] for name in ("low", "high")}
    return {"dimension": dimension, "figure": figure, "value": value, **interval}


def _of(scores: PairedScores, key: str, inside: NDArray[np.bool_]) -> Triple:
    return scores.machine[key][inside], scores.physicians[key][inside], scores.clusters[inside]


def _mask(scores: PairedScores, places: list[int]) -> NDArray[np.bool_]:
    inside = np.zeros(len(scores.versions), dtype=bool)
    inside[places] = True
    return inside
