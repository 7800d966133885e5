"""Calibration examples: narratives whose scores people agreed on, under one rubric version."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import (
    Assignment,
    CalibrationAnswer,
    CalibrationExample,
    Enrolment,
    NarrativeVersion,
    RubricVersion,
)
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES, LEVELS
from scoring.services.audit import record_event
from scoring.weighted_kappa import best_of_levels

Role = CalibrationExample.Role


@transaction.atomic
def add_example(
    *,
    rubric: RubricVersion,
    version: NarrativeVersion,
    role: str,
    scores: Mapping[str, int],
    explanations: Mapping[str, str],
    actor: Any,
) -> CalibrationExample:
    """Keep a version with its agreed scores, and why. Explanations of dimensions left out are empty.

    Raises ``ValidationError`` keyed by dimension for a missing or off-scale score, for a version that is an example
    already, and for one that raters have in a queue: an example has answers, a rating must not.
    """
    if role not in Role.values:
        raise ValidationError(_("Choose what the example is for."))
    problems = {
        key: _("Give the agreed level of %(name)s, 0 to 5.") % {"name": name}
        for key, name in DIMENSION_NAMES.items()
        if scores.get(key) not in LEVELS
    }
    if problems:
        raise ValidationError(problems)
    if CalibrationExample.objects.filter(rubric=rubric, version=version, retired_at=None).exists():
        raise ValidationError(_("This narrative is an example already. Retire that one first."))
    queued = Assignment.objects.filter(version=version, purpose=Assignment.Purpose.LIVE)
    if queued.exclude(state=Assignment.State.CLOSED).exists():
        raise ValidationError(
            _("This narrative is in a queue: raters score it without knowing any answer. Take another.")
        )
    example = CalibrationExample.objects.create(
        rubric=rubric,
        version=version,
        role=role,
        scores={key: scores[key] for key in DIMENSION_KEYS},
        explanations={key: text.strip() for key in DIMENSION_KEYS if (text := explanations.get(key, "")).strip()},
        created_by=actor,
    )
    record_event(actor=actor, action="calibration.example_added", subject=example, detail={"role": role})
    return example


@transaction.atomic
def retire_example(*, example: CalibrationExample, actor: Any) -> CalibrationExample:
    """Use an example no more; attempts that had it keep it. Raises ``ValidationError`` when it is retired already."""
    if not CalibrationExample.objects.filter(pk=example.pk, retired_at=None).update(retired_at=timezone.now()):
        raise ValidationError(_("This example is retired already."))
    example.refresh_from_db()
    record_event(actor=actor, action="calibration.example_retired", subject=example)
    return example


def examples_of(rubric: RubricVersion, *roles: str) -> list[CalibrationExample]:
    found = CalibrationExample.objects.filter(rubric=rubric, role__in=roles, retired_at=None)
    return list(found.select_related("version__narrative__case"))


def is_example_for(*, rater: Any, case: int) -> bool:
    """Whether she learns from a text about the case (its key): in a round of hers, or as a worked example."""
    if CalibrationAnswer.objects.filter(attempt__rater=rater, example__version__narrative__case=case).exists():
        return True
    hers = Enrolment.objects.filter(rater=rater, accepted_at__isnull=False, withdrawn_at=None, excluded_at=None)
    worked = CalibrationExample.objects.filter(role=Role.WORKED, retired_at=None, version__narrative__case=case)
    return worked.filter(rubric__in=hers.values("study__rubric")).exists()


def missing_levels(examples: Iterable[CalibrationExample]) -> dict[str, list[int]]:
    """Dimension to the levels that no example shows; empty when the examples span the whole scale on all six."""
    chosen = list(examples)
    gaps = {key: [n for n in LEVELS if all(one.scores[key] != n for one in chosen)] for key in DIMENSION_KEYS}
    return {key: levels for key, levels in gaps.items() if levels}


def lenient_kappa(examples: Iterable[CalibrationExample]) -> float:
    """The most that someone who only ever answers 4 or 5 can reach on her luckiest dimension; 0 without examples.

    A gate at or below it would let her in.
    """
    chosen = list(examples)
    reached = [best_of_levels([one.scores[key] for one in chosen], 4, 5) for key in DIMENSION_KEYS]
    return max((kappa for kappa in reached if kappa is not None), default=0.0)
