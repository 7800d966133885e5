"""Comparing two texts blind: her next pair, her vote, her own votes."""

import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.rating.door import rater_page
from annotator.rating.drafting import answer_draft, kept_draft
from annotator.rating.entry import LONGEST_FIELD, active_seconds
from annotator.rating.preference_page import comparing_page, previous_vote
from scoring.models import Enrolment, Pair, PairSlot, Preference, PreferenceChoice, Skip, Study
from scoring.models.preference import OVERALL
from scoring.services.preferences import (
    COMMENT,
    QUESTIONS,
    arms_shown,
    claim_pair,
    drafted,
    renew_pair,
    save_pair_draft,
    skip_pair,
    vote,
)

PAGE_SIZE = 25
UNPROCESSABLE = 422


def own_pair(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Passes the rater's own slot instead of its public id; anything else is a 404."""

    @wraps(view)
    def opened(request: HttpRequest, public_id: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
        taking_part = Enrolment.objects.filter(
            rater=request.user.pk, accepted_at__isnull=False, withdrawn_at__isnull=True
        )
        hers = PairSlot.objects.filter(rater=request.user.pk, study__enrolments__in=taking_part).select_related(
            "study", "pair__case", "pair__first__narrative", "pair__second__narrative"
        )
        return view(request, get_object_or_404(hers, public_id=public_id), **kwargs)

    return rater_page(opened)


@rater_page
@require_safe
def next_pair(request: HttpRequest) -> HttpResponse:
    """Her next pair, from the first of her running studies that has one for her."""
    studies = Study.objects.filter(
        state=Study.State.RUNNING,
        comparisons__isnull=False,
        enrolments__rater=request.user.pk,
        enrolments__accepted_at__isnull=False,
        enrolments__withdrawn_at__isnull=True,
    )
    refused: list[str] = []
    for study in studies.distinct().order_by("pk"):
        try:
            slot = claim_pair(study=study, rater=request.user)
        except ValidationError as error:
            refused += error.messages
            continue
        if slot is not None:
            return redirect("preferences:compare", public_id=slot.public_id)
    given = Preference.objects.filter(rater=request.user.pk, origin=Preference.Origin.BLIND)
    return render(request, "rating/preference_empty.html", {"refused": refused, "given": given.count()})


@own_pair
@require_http_methods(["GET", "HEAD", "POST"])
def compare(request: HttpRequest, slot: PairSlot) -> HttpResponse:
    """Shows the pair, and takes the seven choices. A refused vote comes back with all that was chosen."""
    if request.method == "POST":
        return _vote(request, slot)
    if slot.state == PairSlot.State.SUBMITTED:
        messages.info(request, _("You have voted on this pair, and a vote is locked."))
        return redirect("preferences:mine")
    if slot.pair.state != Pair.State.OPEN:
        messages.info(request, _("That pair was taken out of the study."))
        return redirect("preferences:next")
    renew_pair(slot=slot, rater=request.user)
    return _page(request, slot)


def _page(
    request: HttpRequest,
    slot: PairSlot,
    *,
    sent: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
    problems: list[str] | None = None,
) -> HttpResponse:
    """With her draft, or with what she has just ``sent`` and was refused."""
    before = Preference.objects.filter(rater=request.user.pk, slot__isnull=False).order_by("-created_at")
    content, revision = drafted(slot=slot, rater=request.user)
    fields = content.get("fields", {}) if sent is None else sent
    context = comparing_page(slot, fields, errors) | {
        **kept_draft(content, revision),
        "client_uuid": uuid.uuid5(slot.public_id, str(request.user.public_id)),  # type: ignore[union-attr]
        "previous": previous_vote(before.select_related("case", "slot__study", "slot__pair__comparison").first()),
        "comment": fields.get(COMMENT, ""),
        "problems": problems or [],
    }
    if sent is not None and _by_script(request):
        main = render_to_string("rating/partials/pair.html", context, request)
        case = {"main": main, "url": reverse("preferences:compare", args=[slot.public_id])}
        return JsonResponse({"case": case}, status=UNPROCESSABLE)
    return render(request, "rating/preference.html", context, status=200 if sent is None else UNPROCESSABLE)


def _by_script(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _vote(request: HttpRequest, slot: PairSlot) -> HttpResponse:
    """To the next pair; a script is told its address as ``{"go"}``, and refused with the page as ``{"case"}``."""
    choices = {key: request.POST.get(key, "") for key in QUESTIONS}
    comment = request.POST.get("comment", "").strip()[:LONGEST_FIELD]
    try:
        vote(
            slot=slot,
            rater=request.user,
            client_uuid=_sent_uuid(request, slot),
            choices=choices,
            comment=comment,
            active_seconds=active_seconds(request.POST.get("active_seconds")),
        )
    except ValidationError as refused:
        keyed = hasattr(refused, "error_dict")
        errors = refused.message_dict if keyed else {}
        sent = choices | {COMMENT: comment}
        return _page(request, slot, sent=sent, errors=errors, problems=[] if keyed else refused.messages)
    following = reverse("preferences:next")
    return JsonResponse({"go": following}) if _by_script(request) else redirect(following)


def _sent_uuid(request: HttpRequest, slot: PairSlot) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("client_uuid", ""))
    except ValueError:
        return uuid.uuid5(slot.public_id, str(request.user.public_id))  # type: ignore[union-attr]


@own_pair
@require_POST
def keep_draft(request: HttpRequest, slot: PairSlot) -> JsonResponse:
    """As ``answer_draft``; what is no question of the page is dropped."""
    return answer_draft(
        request,
        _known_fields,
        lambda content, base: save_pair_draft(slot=slot, rater=request.user, content=content, base=base).revision,
        refuse_late=slot.state == PairSlot.State.SUBMITTED,
        held=lambda: renew_pair(slot=slot, rater=request.user),
    )


def _known_fields(data: Mapping[str, Any]) -> dict[str, str]:
    known = {name: value for name, value in data.items() if name in (*QUESTIONS, COMMENT) and isinstance(value, str)}
    if len(known.get(COMMENT, "")) > LONGEST_FIELD:
        raise ValidationError(
            _("One field is longer than %(limit)s characters. Shorten it.") % {"limit": f"{LONGEST_FIELD:,}"}
        )
    return {name: value.replace("\x00", "") for name, value in known.items() if value}


@own_pair
@require_http_methods(["GET", "HEAD", "POST"])
def skip(request: HttpRequest, slot: PairSlot) -> HttpResponse:
    """Passes the pair on, with a reason."""
    problems: list[str] = []
    if request.method == "POST":
        try:
            skip_pair(
                slot=slot,
                rater=request.user,
                reason=request.POST.get("reason", ""),
                note=request.POST.get("note", "")[:LONGEST_FIELD],
            )
        except ValidationError as refused:
            problems = refused.messages
        else:
            messages.info(request, _("Skipped. You will not be given this pair again."))
            return redirect("preferences:next")
    context = {
        "slot": slot,
        "problems": problems,
        "skip_reasons": Skip.Reason.choices,
        "chosen": request.POST.get("reason", ""),
        "note": request.POST.get("note", ""),
    }
    return render(request, "rating/preference_skip.html", context, status=UNPROCESSABLE if problems else 200)


@rater_page
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """Her votes, newest first; which arm stood where only if the administrator lets raters know."""
    votes = (
        Preference.objects.filter(rater=request.user.pk, origin=Preference.Origin.BLIND)
        .select_related("case", "study", "slot__study", "slot__pair__comparison")
        .prefetch_related("choices")
        .order_by("-created_at", "-pk")
    )
    page = Paginator(votes, PAGE_SIZE).get_page(request.GET.get("page"))
    labels = dict(PreferenceChoice.Choice.choices)
    rows = []
    for given in page:
        chosen = {choice.dimension: labels[choice.choice] for choice in given.choices.all()}
        rows.append({"vote": given, "overall": chosen.get(OVERALL), "arms": arms_shown(given)})
    return render(request, "rating/preference_mine.html", {"page_obj": page, "rows": rows})
