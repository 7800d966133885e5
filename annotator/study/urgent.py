"""Urgent notices, for those who must answer: administrators all, a named clinician hers."""

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.models import User
from annotator.accounts.roles import ADMINISTRATOR, role_required
from annotator.accounts.signed_in import user_of
from annotator.rating.views.urgent import addresses_for
from scoring.models import UrgentNotice
from scoring.services.urgent import answer_notice, mail_notice

ANSWERED_SHOWN = 50


@never_cache
@require_safe
def notices(request: HttpRequest) -> HttpResponse:
    """Those that wait first, then the latest answers."""
    shown = _visible(user_of(request))
    context = {
        "waiting": list(shown.filter(answered_at=None)),
        "answered": list(shown.exclude(answered_at=None)[:ANSWERED_SHOWN]),
    }
    if not user_of(request).is_administrator and not (context["waiting"] or context["answered"]):
        raise PermissionDenied(_("You are not the named clinician of a study."))
    return render(request, "study/urgent.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def notice_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One notice with the case's images, and its answer."""
    notice = get_object_or_404(_visible(user_of(request)), public_id=public_id)
    error = ""
    if request.method == "POST":
        try:
            answer_notice(notice=notice, actor=request.user, answer=request.POST.get("answer", ""))
        except ValidationError as refused:
            error = refused.messages[0]
            notice.refresh_from_db()
        else:
            messages.success(request, _("Your answer is kept with its time."))
            return redirect("study:urgent")
    context = {"notice": notice, "images": notice.case.images.all(), "error": error}
    return render(request, "study/urgent_notice.html", context, status=422 if error else 200)


@require_POST
@role_required(ADMINISTRATOR)
def mail_again(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    notice = get_object_or_404(_visible(user_of(request)), public_id=public_id, answered_at=None)
    link = request.build_absolute_uri(reverse("study:urgent_notice", args=[notice.public_id]))
    sent = mail_notice(notice=notice, addresses=addresses_for(notice.study), link=link)
    if sent.mail_error:
        messages.error(request, _("No e-mail went out: %(error)s") % {"error": sent.mail_error})
    else:
        messages.success(request, _("The e-mail went out again."))
    return redirect("study:urgent_notice", notice.public_id)


def _visible(user: User) -> QuerySet[UrgentNotice]:
    found = UrgentNotice.objects.select_related("study__clinician", "case", "clinician", "raised_by", "answered_by")
    return found if user.is_administrator else found.filter(clinician=user)
