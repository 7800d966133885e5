"""Model versions and their cards."""

import uuid

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from modelhub.models import BenchmarkRun, Generation, ModelVersion
from modelhub.services.endpoints import leaves_site
from modelhub.views.access import staff_page
from modelhub.views.model_card import card_context, comparable, held_against

PER_PAGE = 30


@staff_page
def model_list(request: HttpRequest) -> HttpResponse:
    written = Count("generations", filter=Q(generations__state=Generation.State.DONE))
    models = ModelVersion.objects.select_related("base", "training__dataset").annotate(written=written)
    page = Paginator(models.order_by("-created_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "modelhub/model_list.html", {"page_obj": page})


@staff_page
def model_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    found = ModelVersion.objects.select_related("base", "created_by", "training__run", "training__dataset")
    model = get_object_or_404(found, public_id=public_id)
    benchmarks = BenchmarkRun.objects.filter(candidates=model).select_related("run", "dataset", "evaluator__rubric")
    states = Generation.objects.filter(model=model).values_list("state").annotate(n=Count("pk"))
    others = comparable(model)
    context = card_context(model) | {
        "model": model,
        "others": others,
        "held": held_against(model, others, request.GET.get("against", "")),
        "generations": dict(states),
        "leaves_site": leaves_site(model),
        "adapters": model.adapters.order_by("-created_at"),
        "benchmarks": benchmarks.order_by("-run__created_at")[:20],
    }
    return render(request, "modelhub/model_detail.html", context)
