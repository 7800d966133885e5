"""What the page sends by itself: drafts as they are typed, and the heartbeat that keeps the slot hers."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from annotator.rating import entry
from annotator.rating.door import own_assignment
from scoring.models import Assignment
from scoring.services.queue import renew_lease
from scoring.services.ratings import save_draft

HIGHEST_REVISION = 2_000_000_000


@own_assignment
@require_POST
def keep_draft(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """JSON ``{"revision": n, "page": id, "fields": {…}, "active_seconds": s}`` in; ``{"revision", "stale"}`` out.

    ``stale``: another page of hers has saved since, and this one changed nothing. 400 for something
    unreadable, 409 when the slot is no longer hers or already submitted.
    """
    try:
        revision, content = _read(request)
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=400)
    try:
        draft = save_draft(assignment=assignment, rater=request.user, content=content, revision=revision)
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=409)
    renew_lease(assignment=assignment, rater=request.user)
    stale = draft.revision > revision or draft.content.get("page") != content["page"]
    return JsonResponse({"revision": draft.revision, "stale": stale})


@own_assignment
@require_POST
def keep_lease(request: HttpRequest, assignment: Assignment) -> JsonResponse:
    """Extends the lease; 409 once the narrative was submitted or passed on."""
    if renew_lease(assignment=assignment, rater=request.user):
        return JsonResponse({"held": True})
    return JsonResponse({"error": "This narrative is no longer assigned to you. Take the next one."}, status=409)


def _read(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    try:
        sent = json.loads(request.body)
    except ValueError as error:
        raise ValidationError("Send the draft as JSON.") from error
    if not isinstance(sent, dict) or not isinstance(sent.get("fields"), dict):
        raise ValidationError("Send the draft as an object with its fields.")
    revision = sent.get("revision")
    if isinstance(revision, bool) or not isinstance(revision, int) or not 0 < revision <= HIGHEST_REVISION:
        raise ValidationError("The draft needs a revision, a whole number from 1.")
    content = {
        "fields": entry.known_fields(sent["fields"]),
        "active_seconds": entry.active_seconds(sent.get("active_seconds")),
        "page": str(sent.get("page", ""))[:64],
    }
    return revision, content
