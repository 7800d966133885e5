"""Narratives for a judge, and what came of them."""

from modelhub.evaluators.base import Item
from modelhub.evaluators.judge import JudgeEvaluator
from modelhub.models import EvaluatorVersion
from tests.factories import make_version
from tests.modelhub.judges import honest

FOUR = honest(lambda text: 4)


def items(count: int, **fields) -> list[Item]:
    versions = [make_version(text=f"Text number {number}. Psoriasis.", **fields) for number in range(count)]
    return [Item(version, version.narrative.case, "Certified: psoriasis.") for version in versions]


def outcomes(row: EvaluatorVersion, some: list[Item]) -> list:
    return [outcome for _, outcome in JudgeEvaluator(row).evaluate_all(some)]
