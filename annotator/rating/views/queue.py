"""The way to the next case: her studies, her consent, then a claim."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from annotator.rating.door import rater_page
from annotator.rating.page import done_today
from annotator.rating.previous import previous_case
from scoring.models import Enrolment, Study
from scoring.services.queue import NotCalibrated, claim_next


@rater_page
@require_safe
def next_case(request: HttpRequest) -> HttpResponse:
    """Her next case; with several running studies she chooses one first."""
    enrolments = list(
        Enrolment.objects.filter(rater=request.user.pk)
        .exclude(study__state=Study.State.DRAFT)
        .select_related("study")
        .order_by("created_at")
    )
    running = [enrolment for enrolment in enrolments if enrolment.study.is_open]
    if len(running) > 1:
        return render(request, "rating/choose.html", {"enrolments": running})
    if running:
        return enter_study(request, running[0])
    paused = [e.study for e in enrolments if e.study.state == Study.State.PAUSED]
    return render(request, "rating/empty.html", {"paused": paused, "invited": bool(enrolments)})


@rater_page
@require_safe
def next_in_study(request: HttpRequest, study: uuid.UUID) -> HttpResponse:
    return enter_study(request, own_enrolment(request.user, study))


def own_enrolment(rater: Any, study: uuid.UUID) -> Enrolment:
    """Her place in a started study; 404 where she has none."""
    hers = Enrolment.objects.filter(rater=rater).exclude(study__state=Study.State.DRAFT).select_related("study")
    return get_object_or_404(hers, study__public_id=study)


def enter_study(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """Redirects to a claimed case, or says in plain words why there is none."""
    study = enrolment.study
    if enrolment.withdrawn_at is not None:
        return render(request, "rating/empty.html", {"withdrawn_from": study})
    if not enrolment.may_rate:
        return redirect("rating:consent", study=study.public_id)
    try:
        assignment = claim_next(study=study, rater=request.user)
    except NotCalibrated:
        return redirect("rating:calibration", study=study.public_id)
    except ValidationError as refused:
        return render(request, "rating/empty.html", {"study": study, "refused": refused.messages})
    if assignment is None:
        done = {"done_today": done_today(request.user), "previous": previous_case(request.user)}
        return render(request, "rating/empty.html", {"study": study, **done})
    return redirect("rating:assignment", public_id=assignment.public_id)
