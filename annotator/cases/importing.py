"""The page that asks for an import; a worker does it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotator.accounts.roles import ADMINISTRATOR, role_required
from annotator.cases.forms import ImportForm
from modelhub.models import Run
from modelhub.services.imports import request_import
from modelhub.views.refusals import add_refusal
from scoring.importers import IMPORTERS
from scoring.services.sources import create_source


@role_required(ADMINISTRATOR)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            run = start_import(form, request.user)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("The import is queued. This page shows how far it is and what was refused."))
            return redirect("modelhub:run_detail", run.public_id)
    context = {"form": form, "importers": IMPORTERS.values(), "import_root": settings.IMPORT_ROOT}
    return render(request, "cases/import.html", context, status=422 if form.errors else 200)


@transaction.atomic
def start_import(form: ImportForm, actor: Any) -> Run:
    """A new source is kept only if its import is."""
    values = form.cleaned_data
    source = values["source"] or create_source(actor=actor, **form.new_source)
    return request_import(
        format=values["format"],
        source=source,
        actor=actor,
        evaluation_share=values["evaluation_percent"] / 100,
        folder=values["folder"],
        archive=values["archive"],
    )
