"""What a run's page shows beyond its progress: one function per kind of run."""

from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from modelhub.charts import curve_chart
from modelhub.models import Generation, ModelVersion, Run, Training
from modelhub.views.calibration import evaluation_body
from modelhub.views.dermeval_run import dermeval_body
from modelhub.views.drafting_run import drafting_body
from modelhub.views.results import benchmark_runs, result_table

PER_PAGE = 25
LOSS_TERMS = {
    "total": _("Weighted total"),
    "answer": _("Answer"),
    "distill": _("Visual distillation"),
    "balance": _("Expert balance"),
    "skin": _("Skin tone"),
}
MOST_POINTS = 400  # more cannot be told apart in the chart
TABLE_POINTS = 25


def body_of(run: Run, page: str | None) -> tuple[str, dict[str, Any]]:
    """The partial's name and its context."""
    build: Callable[[Run, str | None], dict[str, Any]] = BODIES.get(run.kind, _plain)
    name = run.kind if run.kind in BODIES else "plain"
    return f"modelhub/partials/run_{name}.html", build(run, page)


def _generation(run: Run, page: str | None) -> dict[str, Any]:
    rows = Generation.objects.filter(run=run).select_related("case", "model", "version__narrative").order_by("pk")
    states = dict(Generation.objects.filter(run=run).values_list("state").annotate(n=Count("pk")))
    return {
        "model": ModelVersion.objects.filter(public_id=run.plan.get("model")).first(),
        "page_obj": Paginator(rows, PER_PAGE).get_page(page),
        "states": [(label, states.get(value, 0)) for value, label in Generation.State.choices],
        "settings": setting_rows(run.plan.get("settings", {})),
    }


def _training(run: Run, page: str | None) -> dict[str, Any]:
    training = Training.objects.filter(run=run).select_related("base", "dataset", "result").first()
    if training is None:
        return {"training": None}
    curve = training.curve
    terms = [term for term in LOSS_TERMS if any(loss_of(point, term) is not None for point in curve)]
    if len(terms) == 2:  # one term alone is its own total
        terms = terms[1:]
    charts = []
    for term in terms:
        known = [(point["step"], loss_of(point, term)) for point in curve]
        points = [(float(step), value) for step, value in thinned(known, MOST_POINTS) if value is not None]
        charts.append({"name": LOSS_TERMS[term], "chart": curve_chart(points), "last": points[-1][1]})
    return {
        "training": training,
        "charts": charts,
        "terms": [LOSS_TERMS[term] for term in terms],
        "points": [
            {"step": point["step"], "epoch": point.get("epoch"), "values": [loss_of(point, term) for term in terms]}
            for point in thinned(curve, TABLE_POINTS)
        ],
        "settings": setting_rows(training.settings),
        "metrics": setting_rows(known_metrics(training.metrics)),
    }


def _dermeval(run: Run, page: str | None) -> dict[str, Any]:
    return dermeval_body(run, setting_rows, thinned)


def _benchmark(run: Run, page: str | None) -> dict[str, Any]:
    benchmark = benchmark_runs().filter(run=run).first()
    return {"benchmark": benchmark, "table": result_table(benchmark.results) if benchmark else None}


def _export(run: Run, page: str | None) -> dict[str, Any]:
    return {"artifacts": list(run.artifacts.select_related("dataset"))}


def _import(run: Run, page: str | None) -> dict[str, Any]:
    report = run.plan.get("report", {})
    return {"report": setting_rows(report), "problems": report.get("problems", [])}


def _registration(run: Run, page: str | None) -> dict[str, Any]:
    registered = ModelVersion.objects.filter(public_id=run.plan.get("model")).first()
    return {"name": run.plan["name"], "source": run.plan["source"], "registered": registered}


def _plain(run: Run, page: str | None) -> dict[str, Any]:
    return {}


BODIES: dict[str, Callable[[Run, str | None], dict[str, Any]]] = {
    Run.Kind.GENERATION: _generation,
    Run.Kind.DRAFTING: lambda run, page: drafting_body(run, page, setting_rows),
    Run.Kind.TRAINING: _training,
    Run.Kind.DERMEVAL: _dermeval,
    Run.Kind.BENCHMARK: _benchmark,
    Run.Kind.EVALUATION: lambda run, page: evaluation_body(run),
    Run.Kind.EXPORT: _export,
    Run.Kind.IMPORT: _import,
    Run.Kind.REGISTRATION: _registration,
}


def known_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Losses under their names, the rest as it is; a term without input is left out."""
    return {
        gettext("%(term)s loss, last step") % {"term": LOSS_TERMS[name]} if name in LOSS_TERMS else name: value
        for name, value in metrics.items()
        if value is not None
    }


def loss_of(point: dict[str, Any], term: str) -> float | None:
    """A term of a logged step, ``None`` where nothing had its input."""
    value: float | None = point["losses"].get(term)
    return value


def thinned(points: list[Any], most: int) -> list[Any]:
    """At most ``most`` of the points, evenly, first and last among them."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(index * step)] for index in range(most)]


def setting_rows(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Plain data as (name, value) in words; what is itself a list or a table is left to the export."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict | list):
            continue
        rows.append((name.replace("_", " "), plain_value(value)))
    return rows


def plain_value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
