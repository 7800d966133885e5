"""DermEval's filter: candidates that an evaluator scored, kept by a versioned threshold, frozen as a part apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from modelhub.models import EvaluationEntry, EvaluationRun, EvaluationScore, EvaluatorVersion, FilterThreshold, Run
from scoring.digest import content_hash
from scoring.models import DatasetVersion, Study
from scoring.rubric import DIMENSION_KEYS, overall
from scoring.services.filtering import filterable, freeze_filtered


@dataclass(frozen=True)
class FilterPreview:
    """expected = kept + below + unread + failed + pending. ``usable``: those kept that may be in a filtered part."""

    expected: int
    kept: int
    below: int
    unread: int
    failed: int
    pending: int
    usable: int


@transaction.atomic
def threshold_version(
    *, evaluator: EvaluatorVersion, minimum_mean: float, minimum_each: float = 0.0, actor: Any
) -> FilterThreshold:
    """The version of these very numbers for this evaluator. Raises ``ValidationError`` off the scale."""
    for name, value in (("minimum_mean", minimum_mean), ("minimum_each", minimum_each)):
        if not 0 <= value <= 5:
            raise ValidationError({name: f"A threshold lies between 0 and 5; this is {value:g}."})
    numbers = {"minimum_mean": float(minimum_mean), "minimum_each": float(minimum_each)}
    digest = content_hash(numbers | {"evaluator": evaluator.identity_hash})
    found = FilterThreshold.objects.filter(content_hash=digest).first()
    if found is not None:
        return found
    number = (FilterThreshold.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    return FilterThreshold.objects.create(
        number=number, evaluator=evaluator, content_hash=digest, created_by=actor, **numbers
    )


def passes(scores: Mapping[str, float | None], threshold: FilterThreshold) -> bool | None:
    """Whether a text is kept; ``None`` where a dimension has no score: what was not read is never kept."""
    mean = overall(scores)
    if mean is None:
        return None
    least = min(scores[key] or 0.0 for key in DIMENSION_KEYS)
    return mean >= threshold.minimum_mean and least >= threshold.minimum_each


def preview_filter(*, evaluation: EvaluationRun, threshold: FilterThreshold, study: Study) -> FilterPreview:
    """What :func:`freeze_filter` would keep; nothing is written."""
    verdicts = {key: passes(scores, threshold) for key, scores in scores_of(evaluation).items()}
    states = list(evaluation.entries.values_list("state", flat=True))
    kept = [key for key, verdict in verdicts.items() if verdict]
    return FilterPreview(
        expected=len(states),
        kept=len(kept),
        below=sum(verdict is False for verdict in verdicts.values()),
        unread=sum(verdict is None for verdict in verdicts.values()),
        failed=states.count(EvaluationEntry.State.FAILED),
        pending=states.count(EvaluationEntry.State.PENDING),
        usable=len(filterable(study, kept)),
    )


@transaction.atomic
def freeze_filter(*, evaluation: EvaluationRun, threshold: FilterThreshold, study: Study, actor: Any) -> DatasetVersion:
    """The filtered part of DermCoT by this threshold, from what ``evaluation`` scored of the study's texts.

    Raises ``ValidationError`` for an evaluation that has not ended, another evaluator's threshold, and where nothing is
    kept or has changed.
    """
    if evaluation.run.state != Run.State.SUCCEEDED:
        raise ValidationError("This evaluation has not finished. Wait for it, or try it again.")
    if evaluation.evaluator_id != threshold.evaluator_id:
        raise ValidationError(f"{threshold} is for “{threshold.evaluator}”, which did not score these texts.")
    kept = {
        key: {"evaluator": threshold.evaluator.identity_hash, "scores": scores, "mean": overall(scores)}
        for key, scores in scores_of(evaluation).items()
        if passes(scores, threshold)
    }
    return freeze_filtered(
        study=study, kept=kept, rule=rule_words(threshold), rule_hash=threshold.content_hash, actor=actor
    )


def rule_words(threshold: FilterThreshold) -> str:
    row = threshold.evaluator
    return (
        f"{threshold}: the evaluator “{row.name}” (identity {row.identity_hash[:12]}) gave a mean of at least "
        f"{threshold.minimum_mean:g} over the six dimensions and at least {threshold.minimum_each:g} on each; a text "
        "with an unread score is not kept."
    )


def scores_of(evaluation: EvaluationRun) -> dict[int, dict[str, float | None]]:
    """By key of the version the six scores, of every text that was scored."""
    entries = evaluation.entries.filter(state=EvaluationEntry.State.SCORED)
    found: dict[int, dict[str, float | None]] = {
        key: dict.fromkeys(DIMENSION_KEYS) for key in entries.values_list("version_id", flat=True)
    }
    rows = EvaluationScore.objects.filter(evaluation__in=entries.values("evaluation"))
    for key, dimension, value in rows.values_list("evaluation__version_id", "dimension", "value"):
        found[key][dimension] = value
    return found
