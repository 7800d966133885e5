"""The page that asks for a model to be registered; a worker reads its files."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from modelhub.forms.registration import RegistrationForm
from modelhub.services.registration import request_registration
from modelhub.views.access import administrator_form
from modelhub.views.refusals import add_refusal


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def model_register(request: HttpRequest) -> HttpResponse:
    form = RegistrationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            run = request_registration(actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(
                request, "The model is queued to be read. Its card appears when every number was looked at."
            )
            return redirect("modelhub:run_detail", run.public_id)
    context = {"form": form, "model_root": settings.MODEL_ROOT}
    return render(request, "modelhub/model_register.html", context, status=422 if form.errors else 200)
