"""DermBench: its versions, its runs, their results, and every case's record."""

import uuid

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from modelhub.forms.benchmark import BenchmarkForm
from modelhub.models import BenchmarkEntry, BenchmarkRun, ModelVersion
from modelhub.services.benchmarks import request_benchmark
from modelhub.views.access import staff_form, staff_page
from modelhub.views.benchmark_csv import record_lines
from modelhub.views.benchmark_parts import parts_of
from modelhub.views.dataset_overview import dataset_context
from modelhub.views.results import benchmark_runs, result_table
from modelhub.views.start import Missing, start_page
from scoring.models import DatasetVersion

RUNS_PER_PAGE = 20
FAILED_SHOWN = 50


@staff_page
def dermbench(request: HttpRequest) -> HttpResponse:
    runs = benchmark_runs().filter(dataset__kind=DatasetVersion.Kind.DERMBENCH).order_by("-run__created_at", "-pk")
    last = runs.filter(results__isnull=False).first()
    context = dataset_context(request, DatasetVersion.Kind.DERMBENCH) | {
        "runs": Paginator(runs, RUNS_PER_PAGE).get_page(request.GET.get("runs")),
        "last": last,
        "table": result_table(last.results) if last else None,
    }
    return render(request, "modelhub/dermbench.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_form
def benchmark_start(request: HttpRequest) -> HttpResponse:
    return start_page(
        request,
        BenchmarkForm(request.POST or None, initial=request.GET.dict()),
        request_benchmark,
        template="modelhub/benchmark_start.html",
        queued=_("The DermBench run is queued."),
        missing=missing_for_benchmark(),
    )


def missing_for_benchmark() -> Missing | None:
    """What has to exist before a benchmark can be started, with the way there."""
    if not DatasetVersion.objects.filter(kind=DatasetVersion.Kind.DERMBENCH).exists():
        return Missing(
            _("No DermBench version is frozen yet"),
            _("A benchmark needs a frozen version of the held-out cases with their certified references."),
            "DermBench",
            reverse("modelhub:dermbench"),
        )
    if ModelVersion.objects.count() < 2:
        return Missing(
            _("There is only one model") if ModelVersion.objects.exists() else _("No model is registered"),
            _("A benchmark compares two or more. Train an adapter on DermCoT, or register another base."),
            "DermCoT",
            reverse("modelhub:dermcot"),
        )
    return None


@staff_page
def benchmark_detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    benchmark = get_object_or_404(benchmark_runs(), run__public_id=public_id)
    failed = benchmark.entries.filter(state=BenchmarkEntry.State.FAILED).select_related("case", "model").order_by("pk")
    context = {
        "benchmark": benchmark,
        "table": result_table(benchmark.results, right=request.GET.get("against", "")),
        "labelled": benchmark.dataset.kind == DatasetVersion.Kind.LABELLED,
        "failed": failed[:FAILED_SHOWN],
        "parts": parts_of(benchmark.results),
    }
    return render(request, "modelhub/benchmark_detail.html", context)


@staff_page
def benchmark_records(request: HttpRequest, public_id: uuid.UUID) -> StreamingHttpResponse:
    """Every entry as CSV, one line per case and model, streamed."""
    found = BenchmarkRun.objects.select_related("dataset", "evaluator__rubric")
    benchmark = get_object_or_404(found, run__public_id=public_id)
    name = f"{benchmark.dataset}-{str(public_id)[:8]}-records.csv".replace(" ", "-")
    response = StreamingHttpResponse(record_lines(benchmark), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
