"""Evaluator versions, and storing what an evaluator says about a narrative."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.evaluators.base import EvaluationResult, Evaluator
from modelhub.evaluators.closed_labels import ClosedLabelsEvaluator, labels_identity
from modelhub.evaluators.providers import BUILT_IN, open_evaluator
from modelhub.models import Evaluation, EvaluationScore, EvaluatorVersion, Run
from scoring.digest import content_hash
from scoring.models import NarrativeVersion, RubricVersion
from scoring.rubric import DIMENSION_KEYS
from scoring.services.studies import current_rubric


@transaction.atomic
def evaluator_version(key: str) -> EvaluatorVersion:
    """The row of an evaluator: a built-in one's name, as it stands now, or a registered one's public id.

    Another identity or rubric is another row. Raises ``ValidationError`` for an unknown one.
    """
    if key in BUILT_IN:
        evaluator, rubric = BUILT_IN[key](), current_rubric()
        identity = evaluator.identity() | {"rubric": rubric.content_hash}
        found, _ = EvaluatorVersion.objects.get_or_create(
            identity_hash=content_hash(identity),
            defaults={"name": evaluator.name, "provider": key, "identity": identity, "rubric": rubric},
        )
        return found
    try:
        return EvaluatorVersion.objects.get(public_id=key)
    except (EvaluatorVersion.DoesNotExist, ValidationError) as error:
        raise ValidationError(
            f"There is no evaluator “{key}”. Choose one of {', '.join(evaluator_names())}."
        ) from error


@transaction.atomic
def closed_labels_version(labels: Sequence[str]) -> EvaluatorVersion:
    """The row that reads these labels; other labels are another row."""
    rubric, identity = current_rubric(), labels_identity(labels)
    identity |= {"rubric": rubric.content_hash}
    found, _ = EvaluatorVersion.objects.get_or_create(
        identity_hash=content_hash(identity),
        defaults={
            "name": ClosedLabelsEvaluator.name,
            "provider": ClosedLabelsEvaluator.provider,
            "identity": identity,
            "rubric": rubric,
        },
    )
    return found


def evaluator_choices() -> list[tuple[str, str]]:
    """What can be chosen: the built-in ones as they stand now, and registered ones, newest first; key and name."""
    registered = EvaluatorVersion.objects.exclude(provider__in=[*BUILT_IN, ClosedLabelsEvaluator.provider])
    return [
        *((key, provider.name) for key, provider in BUILT_IN.items()),
        *((str(row.public_id), row.name) for row in registered),
    ]


def evaluator_names() -> list[str]:
    return sorted(name for _, name in evaluator_choices()) + sorted(BUILT_IN)


def identity_hash(evaluator: Evaluator, rubric: RubricVersion) -> str:
    return content_hash(evaluator.identity() | {"rubric": rubric.content_hash})


def evaluator_of(row: EvaluatorVersion) -> Evaluator:
    """The evaluator that scores as this row says. Raises ``ValueError`` when its rules have changed since."""
    evaluator = open_evaluator(row)
    if identity_hash(evaluator, row.rubric) != row.identity_hash:
        raise ValueError(f"“{row.name}” has changed since this was asked for. Start a new run.")
    return evaluator


def evaluator_summary(row: EvaluatorVersion) -> dict[str, Any]:
    """What stored results say about who scored, as plain data: ``distrust`` is empty where it may be trusted,
    ``family`` where it is unknown."""
    return {
        "evaluator": str(row.public_id),
        "name": row.name,
        "provider": row.provider,
        "identity": row.identity_hash,
        "rubric": row.rubric.content_hash,
        "family": row.model.kin if row.model else "",
        "canaries": row.canaries,
        "distrust": row.distrust,
    }


@transaction.atomic
def store_evaluation(
    *,
    version: NarrativeVersion,
    evaluator: EvaluatorVersion,
    run: Run | None,
    result: EvaluationResult,
    reference: str = "",
) -> Evaluation:
    """The one evaluation of a version by an evaluator beside a reference; a second one leaves the first as it is."""
    found, created = Evaluation.objects.get_or_create(
        version=version,
        evaluator=evaluator,
        reference_sha256=hashlib.sha256(reference.encode()).hexdigest() if reference else "",
        defaults={
            "run": run,
            "critique": result.critique,
            "parse_status": result.parse_status,
            "problem": result.problem,
            "diagnosis_right": result.diagnosis_right,
            "diagnosis_note": result.diagnosis_note,
            "tokens": result.tokens,
            "seconds": result.seconds,
            "cost": result.cost,
        },
    )
    if created:
        EvaluationScore.objects.bulk_create(
            EvaluationScore(evaluation=found, dimension=key, value=result.scores.get(key))
            for key in (DIMENSION_KEYS if result.scores else ())  # none where the diagnosis alone was judged
        )
    return found
