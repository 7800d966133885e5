"""Ratings: the submission that counts, and changes of it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Assignment, Certification, Mark, Rating, RatingDraft, Score, Study
from scoring.models.assignment import STEP_FIELD
from scoring.prepared import Given, Prepared
from scoring.services.audit import record_event
from scoring.services.certification import certify_version
from scoring.services.entries import MarkInput, ScoreInput, check_marks, check_scores
from scoring.services.own_diagnoses import asks_diagnosis
from scoring.services.reveals import knows_reference, record_reveal

UNDO_FOR = timedelta(minutes=30)
SENT: Prepared[Rating] = Prepared(lambda: Rating.objects.filter(client_uuid=Given("client_uuid", UUIDField())))
DECIDED = (Certification.Outcome.CERTIFIED, Certification.Outcome.REJECTED)


@dataclass(frozen=True)
class RatingInput:
    """What one submission holds, apart from who sends it for what."""

    scores: Mapping[str, ScoreInput]
    comment: str = ""
    marks: Sequence[MarkInput] = ()
    active_seconds: int | None = None
    simulated: bool = False


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

    It may be corrected until it is sealed. It is *informed* from the start where she has been shown
    the case's reference before, but for a study that always shows it. Sent twice with the same
    ``client_uuid`` it returns the first rating. Raises ``ValidationError`` (keyed by dimension where
    one is at fault) for a missing or off-scale score, a cannot-judge without its reason, a mark
    outside the text, a slot that is no longer hers, or her own diagnosis where the study asks for it
    first and has none.
    """
    entered = RatingInput(scores, comment, marks, active_seconds, simulated)
    with transaction.atomic():
        repeated = _sent_before(client_uuid, assignment, rater)
        if repeated is not None:
            return repeated
        check_scores(scores)
        check_marks(assignment.version, marks)
        if asks_diagnosis(assignment, rater):
            raise ValidationError(_("Say what you hold the case to be before you score its text."))
        now, case, study = timezone.now(), assignment.version.narrative.case, assignment.study
        if not _close_slot(assignment, rater, now):
            repeated = _sent_before(client_uuid, assignment, rater)  # the first click was being stored meanwhile
            if repeated is not None:
                return repeated
            _lock_hers(assignment, rater)
            raise ValidationError(_("You have already submitted this narrative."))
        always = study.reveal == Study.Reveal.ALWAYS
        informed = not always and knows_reference(rater=rater, case=case)
        if always:
            record_reveal(rater=rater, case=case)
        sealed_at = now if informed or simulated else now + UNDO_FOR
        rating = _store(assignment, rater, client_uuid, entered, informed=informed, sealed_at=sealed_at)
        record_event(actor=rater, action="rating.submitted", subject=rating)
        certify_version(study=study, version=assignment.version)
        return rating


def correct_rating(
    *,
    rating: Rating,
    rater: Any,
    client_uuid: uuid.UUID,
    scores: Mapping[str, ScoreInput],
    comment: str = "",
    marks: Sequence[MarkInput] = (),
    active_seconds: int | None = None,
) -> Rating:
    """Put a new rating in the place of ``rating``, her last word so far; both are kept.

    Before the seal it becomes her first submission. After it, it is a separate *informed* score, and
    the first stands. Sent twice it returns what was stored. Raises ``ValidationError`` as
    ``submit_rating`` does, and when it is not hers, was changed since, or the text has been decided.
    """
    entered = RatingInput(scores, comment, marks, active_seconds)
    with transaction.atomic():
        repeated = _sent_before(client_uuid, rating.assignment, rater)
        if repeated is not None:
            return repeated
        check_scores(scores)
        check_marks(rating.version, marks)
        locked = _lock_hers(rating.assignment, rater)
        current = Rating.objects.select_for_update(of=("self",)).get(pk=rating.pk)
        repeated = None if current.is_current else _sent_before(client_uuid, rating.assignment, rater)
        if repeated is not None:
            return repeated
        refused = change_refusal(current)
        if refused:
            raise ValidationError(refused)
        now = timezone.now()
        informed = current.informed or current.sealed_at <= now
        sealed_at = now if informed else current.sealed_at
        Rating.objects.filter(pk=current.pk).update(is_current=False, is_first=current.is_first and informed)
        changed = _store(
            locked, rater, client_uuid, entered, informed=informed, sealed_at=sealed_at, supersedes=current
        )
        action = "rating.changed_informed" if informed else "rating.corrected"
        record_event(actor=rater, action=action, subject=changed, detail={"supersedes": str(current.public_id)})
        certify_version(study=locked.study, version=locked.version)
        return changed


def change_refusal(rating: Rating) -> str:
    """Why this rating cannot be changed any more, in words; empty where it can."""
    if not rating.is_current:
        return _("You have changed this rating since. Reload the page.")
    if rating.assignment.state == Assignment.State.CLOSED:
        return _("This narrative was withdrawn from the study.")
    if not rating.informed and not rating.is_sealed:
        return ""
    decided = Certification.objects.filter(
        study=rating.study_id, version=rating.version_id, is_current=True, outcome__in=DECIDED
    ).first()
    if decided is None:
        return ""
    return _("This narrative has been decided (%(outcome)s), so your scores of it stand.") % {
        "outcome": decided.get_outcome_display().lower()
    }


def _sent_before(client_uuid: uuid.UUID, assignment: Assignment, rater: Any) -> Rating | None:
    repeated = SENT.first(client_uuid=client_uuid)
    if repeated is not None and (repeated.rater_id != rater.pk or repeated.assignment_id != assignment.pk):
        raise ValidationError(_("This submission belongs to another rating. Reload the page."))
    return repeated


def _close_slot(assignment: Assignment, rater: Any, now: datetime) -> bool:
    """The one statement that only one submission of a slot gets through; it holds the row until the end."""
    hers = Assignment.objects.filter(pk=assignment.pk, rater=rater, state=Assignment.State.CLAIMED)
    unchanged = hers.filter(purpose=assignment.purpose)
    return bool(unchanged.update(state=Assignment.State.SUBMITTED, submitted_at=now, lease_expires=None))


def _lock_hers(assignment: Assignment, rater: Any) -> Assignment:
    slots = Assignment.objects.select_for_update(of=("self",)).select_related("study__policy")
    locked = slots.get(pk=assignment.pk)
    locked.version = assignment.version  # a text never changes, so the one that was read will do
    if locked.rater_id != rater.pk or locked.state in {Assignment.State.OPEN, Assignment.State.HELD}:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    if locked.state == Assignment.State.CLOSED:
        raise ValidationError(_("This narrative was withdrawn from the study."))
    return locked


def _store(
    assignment: Assignment,
    rater: Any,
    client_uuid: uuid.UUID,
    entered: RatingInput,
    *,
    informed: bool,
    sealed_at: datetime,
    supersedes: Rating | None = None,
) -> Rating:
    rating = Rating.objects.create(
        assignment=assignment,
        study=assignment.study,
        version=assignment.version,
        rater=rater,
        rubric_id=assignment.study.rubric_id,
        purpose=assignment.purpose,
        client_uuid=client_uuid,
        supersedes=supersedes,
        informed=informed,
        is_first=not informed,
        sealed_at=sealed_at,
        comment=entered.comment,
        active_seconds=entered.active_seconds,
        simulated=entered.simulated,
    )
    Score.objects.bulk_create(
        Score(rating=rating, dimension=key, value=entry.value, cannot_judge=entry.cannot_judge, comment=entry.comment)
        for key, entry in entered.scores.items()
    )
    Mark.objects.bulk_create(Mark(rating=rating, **vars(mark)) for mark in entered.marks)
    _settle_draft(assignment, rater)
    return rating


def _settle_draft(assignment: Assignment, rater: Any) -> None:
    """What her draft held of the rating is stored now; a correction that she has begun and not saved stays hers."""
    drafts = RatingDraft.objects.filter(assignment=assignment, rater=rater)
    if drafts.without_correction().delete()[0]:
        return
    for draft in drafts.select_for_update():
        written = {f"{STEP_FIELD}{step['number']}": step["text"] for step in assignment.version.step_texts()}
        fields = draft.content.get("fields", {})
        begun = {name: text for name, text in fields.items() if name in written and text != written[name]}
        if begun:
            draft.content, draft.revision = {"fields": begun}, draft.revision + 1
            draft.save(update_fields=["content", "revision", "updated_at"])
        else:
            draft.delete()
