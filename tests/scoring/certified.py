"""Certified narratives for the tests of datasets and exports."""

from typing import Any

from scoring.models import Case, Certification, NarrativeVersion, Study
from scoring.services.queue import enqueue_versions
from tests.factories import NARRATIVE, make_case, make_rater, make_version, rate


def certify(
    study: Study, version: NarrativeVersion, raters: list[Any] | None = None, value: float = 5
) -> Certification:
    """Queue the version and have enough raters score it for the study's policy to certify it."""
    enqueue_versions(study=study, versions=[version], actor=None, priority=99)
    for rater in raters or [make_rater(study) for _ in range(study.overlap)]:
        rate(study, rater, value)
    return Certification.objects.get(study=study, version=version, is_current=True)


def certified_case(study: Study, raters: list[Any] | None = None, **case_fields: Any) -> tuple[Case, Certification]:
    case = make_case(**case_fields)
    concludes = f"<answer> {case.diagnosis.capitalize()}."  # against its reference it would wait for an adjudicator
    text = NARRATIVE.replace("<answer> Seborrhoeic keratosis.", concludes)
    return case, certify(study, make_version(case=case, text=text), raters)
