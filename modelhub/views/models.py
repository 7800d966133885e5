"""Model versions and their cards."""

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from modelhub.models import BenchmarkRun, Generation, ModelVersion
from modelhub.views.access import staff_page

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
    card = model.card | as_last_loaded(model)
    context = {
        "model": model,
        "card": card_facts(card),
        "notes": card.get("notes") or [],
        "generations": dict(states),
        "adapters": model.adapters.order_by("-created_at"),
        "benchmarks": benchmarks.order_by("-run__created_at")[:20],
    }
    return render(request, "modelhub/model_detail.html", context)


def as_last_loaded(model: ModelVersion) -> dict[str, Any]:
    """What a worker found when it last wrote with this model; nothing before that."""
    written = Generation.objects.filter(model=model, state=Generation.State.DONE).order_by("-pk")
    settings = written.values_list("settings", flat=True).first() or {}
    identity: dict[str, Any] = settings.get("identity", {})
    return identity


CARD_LABELS = {
    "branch_present": "Side branch",
    "parameters": "Parameters",
    "trainable_parameters": "Trained parameters",
    "bias_mode": "Language bias",
}


def card_facts(card: dict[str, object]) -> list[tuple[str, str]]:
    """The card's known facts in words; a fact that nobody looked up is left out, not guessed."""
    return [(label, _words(card[key])) for key, label in CARD_LABELS.items() if card.get(key) is not None]


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "present" if value else "absent"
    return f"{value:,}" if isinstance(value, int) else str(value)
