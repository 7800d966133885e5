"""The two shapes of a page that starts a run: a form that is sent, and a plan that is seen before it is started."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from modelhub.forms.generation import GenerationForm
from modelhub.forms.runs import RunForm
from modelhub.models import ModelVersion, Run
from modelhub.views.refusals import add_refusal

CHECK = "check"


class Missing(NamedTuple):
    """What has to exist before the form makes sense, with the way there: a page, or else a command."""

    title: str
    advice: str
    action: str = ""
    url: str = ""
    command: str = ""


def missing_model(advice: str, *, kind: str = "") -> Missing | None:
    """``kind``: only a model of this kind will do."""
    found = ModelVersion.objects.filter(kind=kind) if kind else ModelVersion.objects.all()
    if found.exists():
        return None
    return Missing(_("No model is registered"), advice, _("Models"), reverse("modelhub:model_list"))


def start_page(
    request: HttpRequest,
    form: RunForm,
    service: Callable[..., Run],
    *,
    template: str,
    queued: str,
    **context: Any,
) -> HttpResponse:
    """Ask ``service`` for what the form has ``chosen`` and lead to its run; what it refuses is said on the form."""
    if request.method == "POST" and form.is_valid():
        try:
            run = service(**form.chosen(), actor=request.user)
        except ValidationError as error:
            add_refusal(form, error)
        else:
            messages.success(request, queued)
            return redirect("modelhub:run_detail", run.public_id)
    return render(request, template, {"form": form, **context}, status=422 if form.errors else 200)


def planned_page(
    request: HttpRequest,
    form_class: type[GenerationForm],
    *,
    plan: Callable[..., dict[str, Any]],
    service: Callable[..., Run],
    template: str,
) -> HttpResponse:
    """GET with ``check`` shows the plan; POST starts it with the same fields, if it still has the cases promised."""
    if request.method == "POST":
        form = form_class(request.POST)
        shown = _plan(form, plan)
        promised = request.POST.get("promised")
        if shown and promised is not None and promised != str(shown["cases"]):
            form.add_error(None, _("The cases have changed since you looked. This is what the run would do now."))
            return render(request, template, {"form": form, "plan": shown}, status=422)
        return start_page(request, form, service, template=template, queued=_("The run is queued."))
    if CHECK in request.GET:
        form = form_class(request.GET)
        return render(request, template, {"form": form, "plan": _plan(form, plan)})
    missing = missing_model(_("A narrative needs a model. Register one first."))
    return render(request, template, {"form": form_class(initial=request.GET.dict()), "missing": missing})


def _plan(form: RunForm, plan: Callable[..., dict[str, Any]]) -> dict[str, Any] | None:
    if not form.is_valid():
        return None
    try:
        shown = plan(**form.chosen())
    except ValidationError as error:
        add_refusal(form, error)
        return None
    return shown | {"startable": shown["cases"] > 0 and not shown["refused"]}
