"""Side by side: one case, two models' narratives and scores."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from modelhub.models import BenchmarkRun
from modelhub.views.access import staff_page
from modelhub.views.comparison import Comparison, Filters
from scoring.models import DatasetVersion
from scoring.services.reveals import record_reveals


@staff_page
def compare(request: HttpRequest) -> HttpResponse:
    """Without parameters: the last finished benchmark, its first two models, the case that differs most."""
    scored = BenchmarkRun.objects.filter(results__isnull=False, dataset__kind=DatasetVersion.Kind.DERMBENCH)
    finished = scored.select_related("run", "dataset", "evaluator__rubric")
    benchmarks = list(finished.prefetch_related("candidates").order_by("-run__created_at", "-pk")[:50])
    asked = request.GET.get("benchmark", "")
    benchmark = next((b for b in benchmarks if str(b.run.public_id) == asked), benchmarks[0] if benchmarks else None)
    if benchmark is None:
        return render(request, "modelhub/compare_empty.html")
    filters = Filters.read(request.GET, list(benchmark.candidates.order_by("pk")))
    comparison = Comparison.of(benchmark, filters, request.GET.get("case", ""))
    if comparison.case is not None:  # its page names the reference
        record_reveals(rater=request.user, cases=[comparison.case])
    return render(request, "modelhub/compare.html", {"benchmarks": benchmarks, "comparison": comparison})
