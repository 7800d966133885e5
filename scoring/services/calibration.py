"""Learning to rate: walking through the gate's examples, and what it takes to pass.

A rater has passed a study's gate when in one finished attempt under its rubric her weighted kappa with the
agreed scores is above the study's level on each of the six dimensions.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import (
    CalibrationAnswer,
    CalibrationAttempt,
    CalibrationExample,
    Enrolment,
    RubricVersion,
    Study,
)
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES, LEVELS
from scoring.services.audit import record_event
from scoring.services.draft_order import replaces
from scoring.services.examples import Role, examples_of, lenient_kappa, missing_levels
from scoring.weighted_kappa import quadratic_kappa


def check_gate(study: Study) -> None:
    """Raises ``ValidationError`` when the study asks for a gate or gold that its rubric's examples cannot bear."""
    if study.gold_percent and not examples_of(study.rubric, Role.GOLD):
        raise ValidationError(_("Silent gold needs narratives with agreed scores: add gold examples first."))
    if study.gate_kappa is None:
        return
    gate = examples_of(study.rubric, Role.GATE)
    gaps = missing_levels(gate)
    if gaps:
        words = "; ".join(f"{DIMENSION_NAMES[key]} {', '.join(map(str, levels))}" for key, levels in gaps.items())
        raise ValidationError(
            _("The gate's examples must show every level from 0 to 5. Still missing: %(words)s.") % {"words": words}
        )
    lenient = lenient_kappa(gate)
    if study.gate_kappa <= lenient:
        raise ValidationError(
            _(
                "With these examples someone who only ever answers 4 or 5 can reach a kappa of %(kappa)s. "
                "Ask for more, or add examples of low quality."
            )
            % {"kappa": f"{lenient:.2f}"}
        )


@transaction.atomic
def start_attempt(*, rubric: RubricVersion, rater: Any) -> CalibrationAttempt:
    """Her unfinished attempt, else a new one: examples that span the scale, unseen ones before those she has seen.

    Raises ``ValidationError`` when the rubric has no examples that span it.
    """
    unfinished = CalibrationAttempt.objects.filter(rubric=rubric, rater=rater, finished_at=None).first()
    if unfinished is not None:
        return unfinished
    pool = examples_of(rubric, Role.GATE)
    if not pool or missing_levels(pool):
        raise ValidationError(_("The examples of this rubric do not span its scale yet. Ask the administrator."))
    number = CalibrationAttempt.objects.filter(rubric=rubric, rater=rater).count() + 1
    seen = set(
        CalibrationAnswer.objects.filter(attempt__rater=rater, answered_at__isnull=False).values_list(
            "example", flat=True
        )
    )
    drawn = sorted(pool, key=lambda one: (one.pk in seen, _drawn(rater, number, one)))
    chosen = _spanning(drawn)
    attempt = CalibrationAttempt.objects.create(
        rubric=rubric, rater=rater, number=number, lenient=lenient_kappa(chosen)
    )
    CalibrationAnswer.objects.bulk_create(
        CalibrationAnswer(attempt=attempt, example=example, position=position, seen_before=example.pk in seen)
        for position, example in enumerate(sorted(chosen, key=lambda one: _drawn(rater, number, one)), start=1)
    )
    record_event(actor=rater, action="calibration.started", subject=attempt, detail={"number": number})
    return attempt


def _spanning(drawn: Sequence[CalibrationExample]) -> list[CalibrationExample]:
    """The first examples, in this order, that show every level of every dimension together, without idle ones."""
    chosen: list[CalibrationExample] = []
    gaps = missing_levels(chosen)
    for example in drawn:
        if any(example.scores[key] in levels for key, levels in gaps.items()):
            chosen.append(example)
            gaps = missing_levels(chosen)
    return chosen


def _drawn(rater: Any, number: int, example: CalibrationExample) -> bytes:
    text = f"{rater.public_id.hex}:{number}:{example.public_id.hex}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@transaction.atomic
def save_answer_draft(
    *, answer: CalibrationAnswer, rater: Any, content: dict[str, Any], base: int
) -> CalibrationAnswer:
    """Keep what she entered so far; ``content`` and ``base`` as in ``draft_order.replaces``.

    Raises ``DraftConflict``, and ``ValidationError`` when it is not hers or was answered.
    """
    locked = (
        CalibrationAnswer.objects.select_for_update(of=("self",)).filter(pk=answer.pk, attempt__rater=rater).first()
    )
    if locked is None or locked.answered_at is not None:
        raise ValidationError(_("You have answered this example."))
    if replaces(content, base, kept=locked.draft, revision=locked.draft_revision):
        locked.draft, locked.draft_revision = content, locked.draft_revision + 1
        locked.save(update_fields=["draft", "draft_revision"])
    return locked


@transaction.atomic
def answer_example(*, answer: CalibrationAnswer, rater: Any, scores: Mapping[str, float | None]) -> CalibrationAnswer:
    """Keep her scores of one example; after the last one the attempt is judged.

    The first answer stands: she has been shown the agreed scores since. Raises ``ValidationError`` keyed by
    dimension where a level is missing or off the scale.
    """
    problems = {
        key: _("Score %(name)s, 0 to 5.") % {"name": name}
        for key, name in DIMENSION_NAMES.items()
        if scores.get(key) not in LEVELS
    }
    if problems:
        raise ValidationError(problems)
    entered = {key: int(scores[key] or 0) for key in DIMENSION_KEYS}
    hers = CalibrationAnswer.objects.filter(pk=answer.pk, attempt__rater=rater, answered_at=None)
    hers.update(scores=entered, answered_at=timezone.now(), draft={})
    answer.refresh_from_db()
    attempt = CalibrationAttempt.objects.select_for_update(of=("self",)).get(pk=answer.attempt_id)
    if attempt.finished_at is None and not attempt.answers.filter(answered_at=None).exists():
        _finish(attempt, rater)
    return answer


def _finish(attempt: CalibrationAttempt, rater: Any) -> None:
    attempt.kappas = kappas_of(list(attempt.answers.select_related("example")))
    attempt.finished_at = timezone.now()
    attempt.save(update_fields=["kappas", "finished_at"])
    record_event(actor=rater, action="calibration.finished", subject=attempt, detail={"kappas": attempt.kappas})
    recognise_gate(rater=rater, rubric=attempt.rubric)


def kappas_of(answers: Sequence[CalibrationAnswer]) -> dict[str, float | None]:
    """Weighted kappa per dimension of her answers with the agreed scores; ``None`` where it is undefined."""
    pairs = [(answer.example.scores, answer.scores) for answer in answers if answer.scores is not None]
    return {
        key: quadratic_kappa([agreed[key] for agreed, _ in pairs], [hers[key] for _, hers in pairs])
        for key in DIMENSION_KEYS
    }


def passes(attempt: CalibrationAttempt, gate: float) -> bool:
    """Whether kappa is above the gate, and above what mere leniency reaches, on all six; an undefined one is not."""
    kappas, level = attempt.kappas or {}, max(gate, attempt.lenient)
    return attempt.finished_at is not None and all((kappas.get(key) or -1.0) > level for key in DIMENSION_KEYS)


def recognise_gate(*, rater: Any, rubric: RubricVersion) -> int:
    """Open the studies under this rubric whose gate she has passed; returns how many opened now."""
    waiting = Enrolment.objects.filter(rater=rater, study__rubric=rubric, calibrated_at=None)
    gated = list(waiting.filter(study__gate_kappa__isnull=False).select_related("study"))
    attempts = (
        list(CalibrationAttempt.objects.filter(rater=rater, rubric=rubric, finished_at__isnull=False)) if gated else []
    )
    opened = 0
    for enrolment in gated:
        gate = enrolment.study.gate_kappa
        if gate is not None and any(passes(attempt, gate) for attempt in attempts):
            enrolment.calibrated_at = timezone.now()
            enrolment.save(update_fields=["calibrated_at"])
            record_event(actor=rater, action="calibration.passed", subject=enrolment.study, detail={"gate": gate})
            opened += 1
    return opened
