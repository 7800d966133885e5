"""The queue of a study: how far it is, what comes next and why, who has what, what starves."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.study.reasons import kept_words, why_words
from annotator.study.views import find_study
from scoring.models import Enrolment, Skip, Study
from scoring.pseudonym import pseudonym
from scoring.services import queue_status
from scoring.services.priorities import refresh_priorities
from scoring.services.queue import acknowledge_skip
from scoring.services.releasing import reclaim_slots

STARVING_SHOWN = 20


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def queue(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    named = user_of(request).is_administrator
    starving = queue_status.starving_versions(study)
    counts = queue_status.counts_of(study, starving)
    context = {
        "study": study,
        "may_edit": named,
        "counts": counts,
        "done_percent": round(100 * counts.submitted / counts.total) if counts.total else 0,
        "coming": [{"slot": slot, "why": why_words(slot.why)} for slot in queue_status.next_slots(study)],
        "holders": _holders(study, named=named),
        "starving": [{"one": one, "kept": kept_words(one.reasons)} for one in starving[:STARVING_SHOWN]],
        "starving_more": max(0, len(starving) - STARVING_SHOWN),
        "skips": queue_status.waiting_skips(study) if named else [],
        "crossed": queue_status.crossed_rows(study) if study.crossed else None,
    }
    return render(request, "study/queue.html", context)


def _holders(study: Study, *, named: bool) -> list[dict[str, Any]]:
    """One row per rater who has slots: what she works on and what her page has fetched ahead."""
    rows: dict[int, dict[str, Any]] = {}
    for slot in queue_status.taken_slots(study):
        rater = slot.rater
        if rater is None:
            continue
        name = rater.display_name if named else pseudonym(study.public_id, rater.public_id)
        row = rows.setdefault(rater.pk, {"rater": rater, "name": name, "claimed": [], "held": []})
        row[slot.state].append(slot)
    return list(rows.values())


@require_POST
@role_required(ADMINISTRATOR)
def reclaim(request: HttpRequest, public_id: uuid.UUID, rater: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    enrolment = get_object_or_404(Enrolment.objects.select_related("rater"), study=study, rater__public_id=rater)
    number = reclaim_slots(study=study, rater=enrolment.rater, actor=request.user)
    words = ngettext(
        "%(number)s slot is open for others. What she had entered is kept.",
        "%(number)s slots are open for others. What she had entered is kept.",
        number,
    )
    messages.success(request, words % {"number": number})
    return redirect("study:queue", study.public_id)


@require_POST
@role_required(ADMINISTRATOR)
def refresh(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Writes the order anew now instead of at the clock's next ring."""
    study = find_study(public_id)
    number = refresh_priorities(study=study)
    words = ngettext("%(number)s slot has a new place.", "%(number)s slots have new places.", number)
    messages.success(request, words % {"number": number})
    return redirect("study:queue", study.public_id)


@require_POST
@role_required(ADMINISTRATOR)
def skip_seen(request: HttpRequest, public_id: uuid.UUID, number: int) -> HttpResponse:
    study = find_study(public_id)
    try:
        acknowledge_skip(skip=get_object_or_404(Skip, pk=number, study=study), actor=request.user)
    except ValidationError as refused:
        messages.error(request, refused.messages[0])
    else:
        messages.success(request, _("Noted."))
    return redirect("study:queue", study.public_id)
