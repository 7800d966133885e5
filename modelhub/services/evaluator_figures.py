"""What an evaluator's scores of one run add up to; computed by workers, read by pages."""

from typing import Any

from django.db.models import Count, F, Sum

from modelhub.models import EvaluationEntry, EvaluationRun, EvaluationScore, JudgeReply
from scoring.intervals import mean_interval
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
