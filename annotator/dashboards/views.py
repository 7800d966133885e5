"""The dashboard: what waits, what runs, what came of it; every figure leads somewhere."""

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.dashboards.snapshot import DashboardSnapshot, read_snapshot
from modelhub.charts import bar_chart
from modelhub.models import BenchmarkRun, Run
from modelhub.services.statistics import FUNNEL
from modelhub.views.results import result_table
from scoring.models import DatasetVersion
from scoring.rubric import dimensions_in

RUNS_SHOWN = 6
STALE_AFTER = timedelta(minutes=2)


@never_cache
@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def dashboard(request: HttpRequest) -> HttpResponse:
    snapshot = read_snapshot()
    finished = BenchmarkRun.objects.filter(results__isnull=False, dataset__kind=DatasetVersion.Kind.DERMBENCH)
    benchmark = finished.select_related("run", "dataset", "evaluator__rubric").order_by("-run__created_at").first()
    context = {
        "snapshot": snapshot,
        "runs": list(Run.objects.active().exclude(kind=Run.Kind.STATISTICS).order_by("-created_at")[:RUNS_SHOWN]),
        "ended": list(
            Run.objects.exclude(kind=Run.Kind.STATISTICS)
            .exclude(state__in=[Run.State.QUEUED, Run.State.RUNNING])
            .order_by("-finished_at", "-pk")[:3]
        ),
        "benchmark": benchmark,
        "table": result_table(benchmark.results) if benchmark else None,
        **(figures(snapshot) if snapshot else {}),
    }
    partial = request.htmx  # type: ignore[attr-defined]
    return render(request, "dashboards/partials/live.html" if partial else "dashboards/dashboard.html", context)


def figures(snapshot: DashboardSnapshot) -> dict[str, Any]:
    """The snapshot's content as the template shows it."""
    content = snapshot.content
    days = [{**day, "day": date.fromisoformat(day["day"])} for day in content["ratings_per_day"]]
    total = content["funnel"]["total"]
    states = [{**state, "label": FUNNEL[state["key"]]} for state in content["funnel"]["states"]]
    names = {dimension.key: dimension.name for dimension in dimensions_in(get_language())}
    return {
        "waiting": content["waiting"],
        "certified": content["certified"],
        "days": days,
        "ratings_total": sum(day["count"] for day in days),
        "simulated_total": sum(day["simulated"] for day in days),
        "day_chart": bar_chart([(f"{day['day']:%-d %b}", day["count"]) for day in days]) if days else None,
        "dimensions": [{**row, "name": names[row["key"]]} for row in content["dimensions"]],
        "rated": any(row["n"] for row in content["dimensions"]),
        "rubric": content["rubric"],
        "funnel": {"total": total, "states": states} if total else None,
        "tones": content["tones"],
        "is_stale": timezone.now() - snapshot.computed_at > STALE_AFTER,
    }
