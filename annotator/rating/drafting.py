"""What a page sends by itself while she enters, and what it is answered: the same for a case, a pair and an example."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from annotator.rating.entry import active_seconds
from scoring.services.draft_order import DraftConflict

HIGHEST_NUMBER = 2_000_000_000
Known = Callable[[Mapping[str, Any]], dict[str, str]]
Save = Callable[[dict[str, Any], int], int]


def answer_draft(
    request: HttpRequest, known: Known, save: Save, *, refuse_late: bool, held: Callable[[], bool]
) -> JsonResponse:
    """In: JSON ``{"revision": the last one known, "page": id of the opening, "count": its n-th save, "fields": {…},
    "active_seconds": s}``; out: ``{"revision", "held": whether it is still hers to send}``.

    409 with ``{"revision", "page", "fields"}`` of the newer draft where another page has saved since, and with
    ``{"error"}`` when it is not hers to enter. 400 for something unreadable. ``"late": true`` marks what was left
    behind in a browser: with ``refuse_late`` it is refused. ``save`` takes the content and the revision that it
    builds on, and returns the new one.
    """
    try:
        sent = _sent(request)
        content = {
            "fields": known(sent["fields"]),
            "active_seconds": active_seconds(sent.get("active_seconds")),
            "page": str(sent.get("page", ""))[:64],
            "count": sent["count"],
        }
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=400)
    if sent.get("late") and refuse_late:
        return JsonResponse({"error": _("You have already submitted this narrative.")}, status=409)
    try:
        revision = save(content, sent["revision"])
    except DraftConflict as newer:
        shown = {name: newer.content.get(name) for name in ("page", "fields")}
        return JsonResponse({"revision": newer.revision} | shown, status=409)
    except ValidationError as refused:
        return JsonResponse({"error": refused.messages[0]}, status=409)
    return JsonResponse({"revision": revision, "held": held()})


def _sent(request: HttpRequest) -> dict[str, Any]:
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
    return sent


def kept_draft(content: Mapping[str, Any], revision: int) -> dict[str, Any]:
    """What a form tells its page of the draft that it shows."""
    return {
        "revision": revision,
        "draft_page": content.get("page", ""),
        "active_seconds": content.get("active_seconds") or 0,
    }
