"""Asking a model for narratives: choose, see what the run would do, start it."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from modelhub.forms.generation import GenerationForm
from modelhub.services.generation import plan_generation, request_generation
from modelhub.views.access import administrator_form
from modelhub.views.start import planned_page


@require_http_methods(["GET", "HEAD", "POST"])
@administrator_form
def generate(request: HttpRequest) -> HttpResponse:
    return planned_page(
        request, GenerationForm, plan=plan_with_rights, service=request_generation, template="modelhub/generate.html"
    )


def plan_with_rights(**chosen: Any) -> dict[str, Any]:
    """The plan, and what each source of its cases allows."""
    sources = (
        chosen["cases"]
        .order_by()
        .values("source__name", "source__licence", "source__may_train", "source__may_leave_site")
        .annotate(n=Count("pk", distinct=True))
        .order_by("source__name")
    )
    return plan_generation(**chosen) | {"sources": list(sources)}
