"""Evaluator versions, and storing what an evaluator says about a narrative."""

from django.db import transaction

from modelhub.evaluators import PROVIDERS, EvaluationResult
from modelhub.evaluators.base import Evaluator
from modelhub.models import Evaluation, EvaluationScore, EvaluatorVersion, Run
from scoring.digest import content_hash
from scoring.models import NarrativeVersion
from scoring.rubric import DIMENSION_KEYS
from scoring.services.studies import current_rubric


@transaction.atomic
def evaluator_version(provider: str) -> EvaluatorVersion:
    """The row of a provider as it stands now: another identity or rubric is another row. Raises ``KeyError``."""
    evaluator, rubric = PROVIDERS[provider](), current_rubric()
    identity = evaluator.identity() | {"rubric": rubric.content_hash}
    found, _ = EvaluatorVersion.objects.get_or_create(
        identity_hash=content_hash(identity),
        defaults={"name": evaluator.name, "provider": provider, "identity": identity, "rubric": rubric},
    )
    return found


def evaluator_of(row: EvaluatorVersion) -> Evaluator:
    """The provider that scores as this row says. Raises ``ValueError`` when its rules have changed since."""
    evaluator = PROVIDERS[row.provider]()
    if content_hash(evaluator.identity() | {"rubric": row.rubric.content_hash}) != row.identity_hash:
        raise ValueError(f"“{row.name}” has changed since this was asked for. Start a new run.")
    return evaluator


@transaction.atomic
def store_evaluation(
    *, version: NarrativeVersion, evaluator: EvaluatorVersion, run: Run | None, result: EvaluationResult
) -> Evaluation:
    """The one evaluation of a version by an evaluator; a second one leaves the first as it is."""
    found, created = Evaluation.objects.get_or_create(
        version=version,
        evaluator=evaluator,
        defaults={
            "run": run,
            "critique": result.critique,
            "parse_status": result.parse_status,
            "tokens": result.tokens,
            "seconds": result.seconds,
            "cost": result.cost,
        },
    )
    if created:
        EvaluationScore.objects.bulk_create(
            EvaluationScore(evaluation=found, dimension=key, value=result.scores.get(key)) for key in DIMENSION_KEYS
        )
    return found
