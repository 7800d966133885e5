"""A classification version: what is in it, what it was frozen by, the runs on it, its exports."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from modelhub.models import Artifact
from modelhub.views.benchmark_parts import parts_of
from modelhub.views.dataset_overview import crosstab
from modelhub.views.results import benchmark_runs
from scoring.models import DatasetVersion
from scoring.services.reveals import record_reveals

CASES_PER_PAGE = 50
RUNS_PER_PAGE = 20
ARTIFACTS = 5


def labelled_page(request: HttpRequest, dataset: DatasetVersion) -> HttpResponse:
    """The same number of queries however many cases and runs."""
    cases = dataset.labelled.select_related("case__source").order_by("position")
    page = Paginator(cases, CASES_PER_PAGE).get_page(request.GET.get("page"))
    record_reveals(rater=request.user, cases=[item.case for item in page])
    runs = benchmark_runs().filter(dataset=dataset).order_by("-run__created_at", "-pk")
    runs_page = Paginator(runs, RUNS_PER_PAGE).get_page(request.GET.get("runs"))
    context = {
        "dataset": dataset,
        "page_obj": page,
        "artifacts": Artifact.objects.filter(dataset=dataset).order_by("-created_at")[:ARTIFACTS],
        "crosstab": crosstab(label_counts(dataset)),
        "runs": runs_page,
        "rows": [{"benchmark": one, "figures": figures_of(one.results)} for one in runs_page],
        **facts_of(dataset),
    }
    return render(request, "modelhub/labelled_detail.html", context)


def label_counts(dataset: DatasetVersion) -> dict[tuple[str, tuple[str, str]], int]:
    """Cases by label and (scale, tone), as they were frozen."""
    columns = ("label", "record__skin_tone_scale", "record__skin_tone")
    counted = dataset.labelled.order_by().values_list(*columns).annotate(n=Count("pk"))
    return {(label, (scale or "", tone or "")): n for label, scale, tone, n in counted}


def facts_of(dataset: DatasetVersion) -> dict[str, Any]:
    """How many classes and patients or lesions; which sources and splits with how many cases; the largest class."""
    items = dataset.labelled.order_by()
    labels = items.values("label").annotate(n=Count("pk")).order_by("-n", "label")
    return {
        "classes": len(labels),
        "largest": labels[0],
        "majority": labels[0]["n"] / dataset.item_count,
        "patients": items.aggregate(n=Count("case__group", distinct=True))["n"],
        "sources": items.values("case__source__name", "case__source__licence", "case__source__redistribute")
        .annotate(n=Count("pk"))
        .order_by("case__source__name"),
        "splits": items.values("record__split").annotate(n=Count("pk")).order_by("record__split"),
    }


def figures_of(results: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Each model's accuracy as the run's evaluator judged it; none before a worker computed it."""
    parts = parts_of(results)
    return [row for row in parts["classification"] if row["key"] == "judged"] if parts else []
