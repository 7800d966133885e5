"""Starting a training of DermEval."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.dermeval import DermEvalForm
from modelhub.models import ModelVersion
from modelhub.services.dermeval import request_dermeval
from modelhub.views.access import administrator_form
from modelhub.views.start import missing_model, start_page


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def dermeval_start(request: HttpRequest) -> HttpResponse:
    return start_page(
        request,
        DermEvalForm(request.POST or None),
        request_dermeval,
        template="modelhub/dermeval_start.html",
        queued=_("The training is queued."),
        missing=missing_model(_("Training starts from a model. Register one first."), kind=ModelVersion.Kind.BASE),
    )
