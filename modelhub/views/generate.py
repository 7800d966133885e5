"""Asking a model for narratives: choose, see what the run would do, start it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.generation import GenerationForm
from modelhub.models import ModelVersion
from modelhub.services.generation import plan_generation, request_generation
from modelhub.views.access import administrator_form
from modelhub.views.refusals import add_refusal

CHECK = "check"


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def generate(request: HttpRequest) -> HttpResponse:
    """GET with ``check`` shows the plan; POST starts it with the same fields."""
    if request.method == "POST":
        return _start(request)
    if CHECK not in request.GET:
        form = GenerationForm(initial=_initial(request))
        return render(request, "modelhub/generate.html", {"form": form, "has_models": ModelVersion.objects.exists()})
    form = GenerationForm(request.GET)
    return render(request, "modelhub/generate.html", {"form": form, "has_models": True, "plan": _plan(form)})


def _initial(request: HttpRequest) -> dict[str, Any]:
    known = ("model", "split", "source", "tone", "study")
    return {name: request.GET[name] for name in known if name in request.GET}


def _plan(form: GenerationForm) -> dict[str, Any] | None:
    if not form.is_valid():
        return None
    cases = form.cases()
    chosen = form.cleaned_data
    try:
        plan = plan_generation(cases=cases, model=chosen["model"], study=chosen["study"], settings=form.settings())
    except ValidationError as error:
        add_refusal(form, error)
        return None
    sources = (
        cases.order_by()
        .values("source__name", "source__licence", "source__may_train", "source__may_leave_site")
        .annotate(n=Count("pk", distinct=True))
        .order_by("source__name")
    )
    return plan | {"sources": list(sources), "startable": plan["cases"] > 0 and not plan["refused"]}


def _start(request: HttpRequest) -> HttpResponse:
    form = GenerationForm(request.POST)
    if form.is_valid():
        chosen, cases = form.cleaned_data, form.cases()
        promised = request.POST.get("promised")
        if promised is not None and promised != str(cases.count()):
            form.add_error(None, _("The cases have changed since you looked. This is what the run would do now."))
            return render(
                request, "modelhub/generate.html", {"form": form, "has_models": True, "plan": _plan_again(form)}
            )
        try:
            run = request_generation(
                cases=cases,
                model=chosen["model"],
                study=chosen["study"],
                settings=form.settings(),
                actor=request.user,
            )
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("The run is queued."))
            return redirect("modelhub:run_detail", run.public_id)
    return render(request, "modelhub/generate.html", {"form": form, "has_models": True}, status=422)


def _plan_again(form: GenerationForm) -> dict[str, Any] | None:
    return _plan(GenerationForm(form.data))
