"""What an evaluator's scores add up to, and how they compare with physicians'; computed by workers, read by pages."""

from collections import defaultdict
from typing import Any

import numpy as np
from django.db.models import Count, F, Sum

from modelhub.evaluators.calibration import calibrate
from modelhub.models import EvaluationEntry, EvaluationRun, EvaluationScore, EvaluatorVersion, JudgeReply
from modelhub.services.dermeval import cases_learned_from
from scoring.intervals import mean_interval
from scoring.models import Rating
from scoring.models.rating import Score
from scoring.rubric import DIMENSION_KEYS


def evaluation_results(asked: EvaluationRun) -> dict[str, Any]:
    """Plain data about one run.

    ``expected`` = ``scored`` + ``failed`` + ``pending``; ``dimensions``: of each, ``judged``, ``missing`` and the mean
    with its interval over patients; ``diagnosis``: how many were ``judged`` and ``right``, and the share of those
    judged and of those expected; ``replies`` (new ones), their ``tokens`` and ``cost``; ``parse``: texts by status.
    """
    entries = EvaluationEntry.objects.filter(evaluation_run=asked)
    states = dict(entries.values_list("state").annotate(n=Count("pk")))
    expected = sum(states.values())
    scored = entries.filter(state=EvaluationEntry.State.SCORED)
    right = [value for value in scored.values_list("evaluation__diagnosis_right", flat=True) if value is not None]
    found = JudgeReply.objects.filter(run=asked.run)
    paid = found.aggregate(tokens=Sum(F("prompt_tokens") + F("completion_tokens")), cost=Sum("cost"))
    return {
        "expected": expected,
        **{str(state): states.get(state, 0) for state in EvaluationEntry.State.values},
        "dimensions": {key: _dimension(scored, key, expected) for key in DIMENSION_KEYS},
        "diagnosis": {
            "judged": len(right),
            "right": sum(right),
            "of_judged": sum(right) / len(right) if right else None,
            "of_expected": sum(right) / expected if right else None,
        },
        "replies": found.count(),
        "tokens": paid["tokens"],
        "cost": None if paid["cost"] is None else float(paid["cost"]),
        "parse": dict(entries.exclude(evaluation=None).values_list("evaluation__parse_status").annotate(n=Count("pk"))),
    }


def _dimension(scored: Any, key: str, expected: int) -> dict[str, Any]:
    values = EvaluationScore.objects.filter(evaluation__in=scored.values("evaluation"), dimension=key)
    found = values.values_list("value", "evaluation__version__narrative__case__group").order_by("pk")
    known = [(value, group) for value, group in found if value is not None]
    interval = mean_interval([value for value, _ in known], [group for _, group in known])
    return {"judged": len(known), "missing": expected - len(known), **interval.as_dict()}


def compute_calibration(row: EvaluatorVersion) -> dict[str, Any]:
    """Against the physicians' first sealed scores of the same versions under the same rubric, by dimension.

    ``dimensions``: as ``calibrate`` gives them; ``texts``, ``ratings``, and how many of these were ``simulated``;
    ``learned_from``: ratings left out because the evaluator was trained on the patient or lesion.
    """
    rated = Rating.objects.sealed_first().filter(rubric=row.rubric, version__in=row.evaluations.values("version"))
    ratings = rated.exclude(version__narrative__case__in=cases_learned_from(row))
    people: dict[tuple[int, str], list[float]] = defaultdict(list)
    given = Score.objects.filter(rating__in=ratings)
    for version, dimension, value in given.values_list("rating__version_id", "dimension", "value").order_by("pk"):
        if value is not None:
            people[version, dimension].append(value)
    machine = EvaluationScore.objects.filter(evaluation__evaluator=row, value__isnull=False)
    fields = ("evaluation__version_id", "dimension", "value", "evaluation__version__narrative__case__group_id")
    latest = {(v, d): (value, group) for v, d, value, group in machine.values_list(*fields).order_by("evaluation_id")}
    return {
        "texts": len({version for version, _ in people}),
        "ratings": ratings.count(),
        "learned_from": rated.count() - ratings.count(),
        "simulated": ratings.filter(simulated=True).count(),
        "dimensions": {key: _calibrated(key, people, latest) for key in DIMENSION_KEYS},
    }


def _calibrated(
    key: str, people: dict[tuple[int, str], list[float]], machine: dict[tuple[int, str], tuple[float, int]]
) -> dict[str, Any]:
    both = [(version, dimension) for version, dimension in people if dimension == key and (version, key) in machine]
    return calibrate(
        np.array([machine[one][0] for one in both], dtype=float),
        np.array([np.mean(people[one]) for one in both], dtype=float),
        np.array([machine[one][1] for one in both], dtype=np.int64),
    )
