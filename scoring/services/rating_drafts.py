"""What a rater has entered but not submitted: kept field by field, and never overwritten by an older page."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from scoring.models import Assignment, Rating, RatingDraft
from scoring.services.draft_order import replaces
from scoring.services.ratings import change_refusal


@transaction.atomic
def save_draft(*, assignment: Assignment, rater: Any, content: dict[str, Any], base: int) -> RatingDraft:
    """Keep what was entered so far; the draft's revision counts up by one.

    ``content`` and ``base`` are as in ``draft_order.replaces``. A draft that she had begun is saved although its
    slot has gone to somebody else meanwhile; it comes back with any slot of the text. Raises ``DraftConflict``,
    and ``ValidationError`` when the slot was never hers, is closed, or her rating may not be changed.
    """
    slot = Assignment.objects.select_for_update().get(pk=assignment.pk)
    draft = RatingDraft.objects.filter(assignment=slot, rater=rater).first()
    _check_open_to(slot, rater, draft)
    if draft is None:
        return RatingDraft.objects.create(assignment=slot, rater=rater, content=content, revision=base + 1)
    if not replaces(content, base, kept=draft.content, revision=draft.revision):
        return draft
    draft.content, draft.revision = content, draft.revision + 1
    draft.save(update_fields=["content", "revision", "updated_at"])
    return draft


def _check_open_to(slot: Assignment, rater: Any, draft: RatingDraft | None) -> None:
    if slot.state == Assignment.State.CLOSED:
        raise ValidationError(_("This narrative was withdrawn from the study."))
    if slot.rater_id != rater.pk and draft is None:
        raise ValidationError(_("This narrative is no longer assigned to you. Take the next one."))
    if slot.rater_id == rater.pk and slot.state == Assignment.State.SUBMITTED:
        refused = change_refusal(Rating.objects.current().get(assignment=slot))
        if refused:
            raise ValidationError(refused)


@transaction.atomic
def drop_fields(*, assignment: Assignment, rater: Any, prefix: str) -> None:
    """Take the fields whose names begin with ``prefix`` out of her draft: they are stored elsewhere by now."""
    draft = RatingDraft.objects.select_for_update().filter(assignment=assignment, rater=rater).first()
    if draft is None:
        return
    fields = draft.content.get("fields", {})
    kept = {name: value for name, value in fields.items() if not name.startswith(prefix)}
    draft.content, draft.revision = draft.content | {"fields": kept}, draft.revision + 1
    draft.save(update_fields=["content", "revision", "updated_at"])
