"""The page that asks for a model to be registered; a worker reads its files."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.registration import RegistrationForm
from modelhub.services.registration import request_registration
from modelhub.views.access import administrator_form
from modelhub.views.start import start_page


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def model_register(request: HttpRequest) -> HttpResponse:
    return start_page(
        request,
        RegistrationForm(request.POST or None),
        request_registration,
        template="modelhub/model_register.html",
        queued=_("The model is queued to be read. Its card appears when every number was looked at."),
        model_root=settings.MODEL_ROOT,
    )
