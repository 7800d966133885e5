"""How a study's raters work: for administrators only, each sign with what it is told from."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, role_required
from annotator.study.views import consent_state, find_study
from scoring.models import Enrolment, Study
from scoring.services.conduct import limits_passed, signs_of_raters
from scoring.services.enrolments import set_expertise
from scoring.services.exclusion import exclude_rater


@never_cache
@require_safe
@role_required(ADMINISTRATOR)
def raters(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    areas = sorted({rule["needs"] for rule in study.expertise})
    context = {"study": study, "rows": _rows(study), "areas": areas, "limits": _limits(study)}
    return render(request, "study/raters.html", context)


def _rows(study: Study) -> list[dict[str, Any]]:
    found = signs_of_raters(study)
    enrolments = Enrolment.objects.filter(study=study).select_related("rater").order_by("pk")
    rows = []
    for enrolment in enrolments:
        hers = found.get(enrolment.rater_id)
        may_exclude = enrolment.excluded_at is None and hers is not None
        rows.append(
            {
                "enrolment": enrolment,
                "state": consent_state(enrolment),
                "signs": hers,
                "passed": limits_passed(study, hers) if may_exclude and hers is not None else [],
            }
        )
    return rows


def _limits(study: Study) -> list[str]:
    """The study's stated limits in words; empty: nobody can be excluded."""
    stated = []
    if study.hasty_limit is not None:
        stated.append(_("more than %(limit)s %% of the ratings faster than reading") % {"limit": study.hasty_limit})
    if study.identical_limit is not None:
        stated.append(_("more than %(limit)s %% of the rows identical") % {"limit": study.identical_limit})
    if study.gold_limit is not None:
        stated.append(_("weighted kappa on silent gold below %(limit)s") % {"limit": f"{study.gold_limit:g}"})
    return stated


@require_POST
@role_required(ADMINISTRATOR)
def exclude(request: HttpRequest, public_id: uuid.UUID, rater: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    enrolment = _enrolment(study, rater)
    try:
        exclude_rater(study=study, rater=enrolment.rater, actor=request.user)
    except ValidationError as refused:
        messages.error(request, refused.messages[0])
    else:
        messages.success(request, _("Excluded by the stated limit. Her slots are open for others."))
    return redirect("study:raters", study.public_id)


@require_POST
@role_required(ADMINISTRATOR)
def expertise(request: HttpRequest, public_id: uuid.UUID, rater: uuid.UUID) -> HttpResponse:
    study = find_study(public_id)
    try:
        set_expertise(enrolment=_enrolment(study, rater), areas=request.POST.getlist("area"), actor=request.user)
    except ValidationError as refused:
        messages.error(request, refused.messages[0])
    else:
        messages.success(request, _("Her areas are kept; her next narrative follows them."))
    return redirect("study:raters", study.public_id)


def _enrolment(study: Study, rater: uuid.UUID) -> Enrolment:
    return get_object_or_404(Enrolment.objects.select_related("rater"), study=study, rater__public_id=rater)
