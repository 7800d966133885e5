"""Closing a flag from the case's page."""

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotator.accounts.roles import ADMINISTRATOR, role_required
from scoring.models import CaseFlag
from scoring.services.flags import resolve_flag


@role_required(ADMINISTRATOR)
@require_POST
def resolve(request: HttpRequest, public_id: uuid.UUID, number: int) -> HttpResponse:
    flag = get_object_or_404(CaseFlag, pk=number, case__public_id=public_id)
    try:
        resolve_flag(flag=flag, actor=request.user, resolution=request.POST.get("resolution", ""))
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    else:
        messages.success(request, _("The flag is closed."))
    return redirect("cases:detail", public_id)
