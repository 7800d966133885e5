"""What the page sends by itself: drafts as they are typed, and the heartbeat that keeps the slot hers."""

import json
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotator.rating import entry
from annotator.rating.door import begun_assignment, own_assignment
from scoring.models import Assignment
from scoring.services.queue import renew_lease
from scoring.services.rating_drafts import DraftConflict, save_draft

HIGHEST_NUMBER = 2_000_000_000
RENEW_AFTER = timedelta(minutes=1)


@begun_assignment
@require_POST
def keep_draft(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """In: JSON ``{"revision": the last one known, "page": id of the opening, "count": its n-th save, "fields": {…},
    "active_seconds": s}``; out: ``{"revision", "held": whether the slot is still hers}``.

    409 with ``{"revision", "page", "fields"}`` of the newer draft where another page has saved since, and with
    ``{"error"}`` when the case is not hers to enter. 400 for something unreadable. ``"late": true`` marks what
    was left behind in a browser: it changes no rating that was submitted.
    """
    try:
        sent, content = _read(request)
        if sent.get("late") and assignment.state == Assignment.State.SUBMITTED:
            return JsonResponse({"error": _("You have already submitted this narrative.")}, status=409)
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=400)
    try:
        draft = save_draft(assignment=assignment, rater=request.user, content=content, base=sent["revision"])
    except DraftConflict as newer:
        shown = {name: newer.draft.content.get(name) for name in ("page", "fields")}
        return JsonResponse({"revision": newer.draft.revision} | shown, status=409)
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=409)
    return JsonResponse({"revision": draft.revision, "held": _is_held(request, assignment)})


def _is_held(request: HttpRequest, assignment: Assignment) -> bool:
    """Whether the slot is hers; its lease is renewed, once a minute while she types."""
    if assignment.rater_id != request.user.pk:
        return False
    if assignment.state == Assignment.State.SUBMITTED or assignment.lease_expires is None:
        return True
    full = timezone.now() + timedelta(minutes=assignment.study.lease_minutes)
    if full - assignment.lease_expires < RENEW_AFTER:
        return True
    return renew_lease(assignment=assignment, rater=request.user)


@own_assignment
@require_POST
def keep_lease(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """Extends the lease; 409 once the narrative was submitted or passed on."""
    if renew_lease(assignment=assignment, rater=request.user):
        return JsonResponse({"held": True})
    return JsonResponse({"error": _("This narrative is no longer assigned to you. Take the next one.")}, status=409)


def _read(request: HttpRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        sent = json.loads(request.body)
    except ValueError as error:
        raise ValidationError("Send the draft as JSON.") from error
    if not isinstance(sent, dict) or not isinstance(sent.get("fields"), dict):
        raise ValidationError("Send the draft as an object with its fields.")
    for name in ("revision", "count"):
        value = sent.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_NUMBER:
            raise ValidationError(f"The draft needs its {name}, a whole number from 0.")
    content = {
        "fields": entry.known_fields(sent["fields"]),
        "active_seconds": entry.active_seconds(sent.get("active_seconds")),
        "page": str(sent.get("page", ""))[:64],
        "count": sent["count"],
    }
    return sent, content
