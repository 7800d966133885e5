"""Stored benchmark results as the rows of a table and the marks of a chart; nothing is computed here but geometry.

``BenchmarkRun.results``, as the worker wrote it:

``models``  in order, each {"model": public id, "name", "expected", "scored", "failed",
            "dimensions": {key: {"n", "mean", "low", "high", "reason"}}, "overall", "diagnosis": the same}
            and where two or more are compared {"letters", "best", "worst"}
``pairs``   each {"left": public id, "right": public id, "dimensions", "overall", "diagnosis"};
            the difference is right minus left over the cases that both have a score for, with
            {"clusters", "error", "p", "p_holm", "detectable", "detectable_holm"}

Means on the rubric's scale (0 to 5), ``diagnosis`` the share that concluded rightly (0 to 1); ``mean`` is ``None``
without a score, ``low`` and ``high`` (95 %) where no interval can be given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from modelhub.charts import Estimate, IntervalChart, interval_chart
from modelhub.models import BenchmarkEntry, BenchmarkRun, ModelVersion
from scoring.multiple import ALPHA
from scoring.rubric import DIMENSION_KEYS, dimension_names

OVERALL, DIAGNOSIS = "overall", "diagnosis"
MEASURED = ("mean", "low", "high", "error", "detectable", "detectable_holm")  # on the scale of the scores
ROW_KEYS = (*DIMENSION_KEYS, OVERALL)


@dataclass(frozen=True)
class Figure:
    """A mean with its interval and the number of cases behind it; ``reason`` says why there is no interval.

    Of a model among others: tie ``letters``, ``best`` and ``worst`` rank. Of a difference: its ``error``, ``p``, alone
    and by Holm, and the smallest difference that would be found (``detectable``), alone and by Holm. Of people's
    ratings: how many ``raters``, and whether the interval is for ``these_raters_only``.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    reason: str = ""
    letters: str = ""
    best: int | None = None
    worst: int | None = None
    clusters: int | None = None
    error: float | None = None
    p: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    detectable_holm: float | None = None
    raters: int | None = None
    these_raters_only: bool = False

    @property
    def estimate(self) -> Estimate | None:
        return None if self.mean is None else Estimate(self.mean, self.low, self.high)

    def in_per_cent(self) -> "Figure":
        return replace(self, **{name: 100 * v for name in MEASURED if (v := getattr(self, name)) is not None})

    def turned(self) -> "Figure":
        """The difference seen from the other side."""
        mean, low, high = (None if v is None else -v for v in (self.mean, self.high, self.low))
        return replace(self, mean=mean, low=low, high=high)

    @property
    def is_proven(self) -> bool:
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class ResultRow:
    key: str
    name: str
    figures: tuple[Figure | None, ...]
    difference: Figure | None


@dataclass(frozen=True)
class ResultTable:
    """Six dimensions, their mean and the right diagnoses by models; the difference is ``right`` minus ``left``."""

    models: tuple[dict[str, Any], ...]
    rows: tuple[ResultRow, ...]
    left: str
    right: str
    chart: IntervalChart | None

    @property
    def names(self) -> list[str]:
        return [model["name"] for model in self.models]


def row_names() -> dict[str, str]:
    """What the rows are called in the reader's language."""
    return dimension_names(get_language()) | {OVERALL: _("Mean of six"), DIAGNOSIS: _("Right diagnosis, per cent")}


def benchmark_runs() -> QuerySet[BenchmarkRun]:
    """Runs with their tallies: scored + failed + pending = expected."""
    states = {
        state: Count("entries", filter=Q(entries__state=state), distinct=True) for state in BenchmarkEntry.State.values
    }
    related = BenchmarkRun.objects.select_related("run", "dataset", "evaluator__rubric", "prompt")
    candidates = Prefetch("candidates", ModelVersion.objects.order_by("pk"))
    return related.prefetch_related(candidates).annotate(expected=Count("entries", distinct=True), **states)


def result_table(results: Mapping[str, Any] | None, *, right: str = "") -> ResultTable | None:
    """The table with the difference between the first model and ``right`` (a public id; default the second)."""
    if not results or not results.get("models"):
        return None
    models = tuple(results["models"])
    pair = _pair(results.get("pairs", []), models, right)
    every = (result_row(key, models, pair) for key in ROW_KEYS)
    rows = tuple(row for row in every if any(row.figures))
    chart = interval_chart([(row.name, [f.estimate if f else None for f in row.figures]) for row in rows])
    names = {m["model"]: m["name"] for m in models}
    left_id, right_id = (pair["left"], pair["right"]) if pair else ("", "")
    share = result_row(DIAGNOSIS, models, pair)
    if any(f and f.n for f in share.figures):
        rows = (*rows, share)
    return ResultTable(models, rows, names.get(left_id, ""), names.get(right_id, ""), chart)


def result_row(key: str, models: Sequence[dict[str, Any]], pair: dict[str, Any] | None) -> ResultRow:
    return ResultRow(key, row_names()[key], tuple(figure(model, key) for model in models), figure(pair, key))


def figure(part: Mapping[str, Any] | None, key: str) -> Figure | None:
    """One figure of a model or of a pair; ``None`` where the worker stored none."""
    if part is None:
        return None
    raw = part["dimensions"].get(key) if key in DIMENSION_KEYS else part.get(key)
    found = Figure(**raw) if raw else None
    return found.in_per_cent() if found and key == DIAGNOSIS else found


def _pair(pairs: Sequence[dict[str, Any]], models: Sequence[dict[str, Any]], right: str) -> dict[str, Any] | None:
    first = models[0]["model"]
    with_first = [pair for pair in pairs if pair["left"] == first]
    return next((pair for pair in with_first if pair["right"] == right), with_first[0] if with_first else None)
