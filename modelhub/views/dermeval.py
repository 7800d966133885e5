"""Starting a training of DermEval."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.dermeval import DermEvalForm
from modelhub.models import ModelVersion
from modelhub.services.dermeval import request_dermeval
from modelhub.views.access import administrator_form
from modelhub.views.refusals import add_refusal


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def dermeval_start(request: HttpRequest) -> HttpResponse:
    form = DermEvalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            run = request_dermeval(
                base=chosen["base"], study=chosen["study"], settings=form.settings(), actor=request.user
            )
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("The training is queued."))
            return redirect("modelhub:run_detail", run.public_id)
    has_bases = ModelVersion.objects.filter(kind=ModelVersion.Kind.BASE).exists()
    context = {"form": form, "has_bases": has_bases}
    return render(request, "modelhub/dermeval_start.html", context, status=422 if form.errors else 200)
