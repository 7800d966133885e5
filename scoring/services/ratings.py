"""Ratings: drafts as they are typed, and the submission that counts."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from scoring.models import Assignment, Mark, Rating, RatingDraft, Score
from scoring.rubric import CANNOT_JUDGE_REASONS, DIMENSION_NAMES, LEVELS
from scoring.services.audit import record_event
from scoring.services.certification import certify_version


@dataclass(frozen=True)
class ScoreInput:
    """One dimension as entered: a level of the rubric, or ``None`` with a reason key."""

    value: float | None
    cannot_judge: str = ""
    comment: str = ""


@dataclass(frozen=True)
class MarkInput:
    """One step's mark as entered; see ``scoring.models.Mark`` for units."""

    step: int
    verdict: str
    error_type: str = ""
    severity: str = ""
    dimension: str = ""
    span_start: int | None = None
    span_end: int | None = None
    note: str = ""


@transaction.atomic
def save_draft(*, assignment: Assignment, rater: Any, content: dict[str, Any], revision: int) -> RatingDraft:
    """Keep what was entered so far. ``revision`` counts up in the page; an older one changes nothing.

    Raises ``ValidationError`` when she does not hold the slot any more.
    """
    _lock_held(assignment, rater)
    draft, created = RatingDraft.objects.get_or_create(
        assignment=assignment,
        defaults={"rater": rater, "content": content, "revision": revision},
    )
    if not created and revision > draft.revision:
        draft.content, draft.revision = content, revision
        draft.save(update_fields=["content", "revision", "updated_at"])
    return draft


@transaction.atomic
def submit_rating(
    *,
    assignment: Assignment,
    rater: Any,
    client_uuid: uuid.UUID,
    scores: Mapping[str, ScoreInput],
    comment: str = "",
    marks: Sequence[MarkInput] = (),
    active_seconds: int | None = None,
    simulated: bool = False,
) -> Rating:
    """Submit all six dimensions for the slot and let the certification rule look again.

    Sent twice with the same ``client_uuid`` it returns the first rating. Raises ``ValidationError``
    (keyed by dimension where one is at fault) for a missing or off-scale score, a cannot-judge
    without its reason, a mark outside the text, or a slot that is no longer hers.
    """
    repeated = Rating.objects.filter(client_uuid=client_uuid).first()
    if repeated is not None:
        if repeated.rater_id != rater.pk or repeated.assignment_id != assignment.pk:
            raise ValidationError("This submission belongs to another rating. Reload the page.")
        return repeated
    _check_scores(scores)
    _check_marks(assignment, marks)
    locked = _lock_held(assignment, rater)
    now = timezone.now()
    rating = Rating.objects.create(
        assignment=locked,
        study=locked.study,
        version=locked.version,
        rater=rater,
        rubric=locked.study.rubric,
        purpose=locked.purpose,
        client_uuid=client_uuid,
        comment=comment,
        active_seconds=active_seconds,
        simulated=simulated,
        sealed_at=now if locked.study.reveal != locked.study.Reveal.NEVER else None,
    )
    Score.objects.bulk_create(
        Score(
            rating=rating,
            dimension=key,
            value=entry.value,
            cannot_judge=entry.cannot_judge,
            comment=entry.comment,
        )
        for key, entry in scores.items()
    )
    Mark.objects.bulk_create(Mark(rating=rating, **vars(mark)) for mark in marks)
    Assignment.objects.filter(pk=locked.pk).update(
        state=Assignment.State.SUBMITTED, submitted_at=now, lease_expires=None
    )
    RatingDraft.objects.filter(assignment=locked).delete()
    record_event(actor=rater, action="rating.submitted", subject=rating)
    certify_version(study=locked.study, version=locked.version)
    return rating


def _lock_held(assignment: Assignment, rater: Any) -> Assignment:
    locked = (
        Assignment.objects.select_for_update(of=("self",))
        .select_related("study__rubric", "study__policy", "version__narrative")
        .get(pk=assignment.pk)
    )
    if locked.rater_id != rater.pk or locked.state == Assignment.State.OPEN:
        raise ValidationError("This narrative is no longer assigned to you. Take the next one.")
    if locked.state == Assignment.State.SUBMITTED:
        raise ValidationError("You have already submitted this narrative.")
    if locked.state == Assignment.State.CLOSED:
        raise ValidationError("This narrative was withdrawn from the study.")
    return locked


def _check_scores(scores: Mapping[str, ScoreInput]) -> None:
    problems: dict[str, list[str]] = {}
    for key, name in DIMENSION_NAMES.items():
        entry = scores.get(key)
        if entry is None:
            problems[key] = [f"Score {name}, or choose “cannot judge”."]
        elif entry.value is None and entry.cannot_judge not in CANNOT_JUDGE_REASONS:
            problems[key] = [f"Say why {name} cannot be judged."]
        elif entry.value is not None and entry.cannot_judge:
            problems[key] = [f"{name} has a score and a “cannot judge”. Keep one of them."]
        elif entry.value is not None and entry.value not in LEVELS:
            problems[key] = [f"{name} takes a whole number from {LEVELS[0]} to {LEVELS[-1]}."]
    unknown = set(scores) - set(DIMENSION_NAMES)
    if unknown:
        raise ValidationError(f"Unknown dimension: {', '.join(sorted(unknown))}.")
    if problems:
        raise ValidationError(problems)


def _check_marks(assignment: Assignment, marks: Sequence[MarkInput]) -> None:
    steps = assignment.version.steps
    for mark in marks:
        if not 1 <= mark.step <= len(steps):
            raise ValidationError(f"There is no step {mark.step} in this narrative.")
        if mark.verdict not in Mark.Verdict.values:
            raise ValidationError(f"Step {mark.step}: mark it as right or as an error.")
        if (mark.verdict == Mark.Verdict.ERROR) != (mark.error_type in Mark.ErrorType.values):
            raise ValidationError(f"Step {mark.step}: an error needs its type.")
        if mark.span_start is not None and mark.span_end is not None:
            step = steps[mark.step - 1]
            if not step["start"] <= mark.span_start < mark.span_end <= step["end"]:
                raise ValidationError(f"Step {mark.step}: the marked words lie outside the step.")
