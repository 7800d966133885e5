"""What the side-by-side page shows: which cases in which order, and one of them in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Avg, Count
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from modelhub.forms.generation import SEPARATOR, UNKNOWN_TONE
from modelhub.models import BenchmarkEntry, BenchmarkRun, ModelVersion
from modelhub.views.aligned_steps import AlignedSection, aligned_sections
from modelhub.views.results import OVERALL, row_names
from scoring.models import Case
from scoring.rubric import DIMENSION_KEYS, overall

DIFFER, CASE_ORDER = "differ", "case"
ORDERS = ((DIFFER, _("Differ most first")), (CASE_ORDER, _("Order of cases")))


@dataclass(frozen=True)
class Filters:
    """What the address asks for; unknown values fall back to the first choice."""

    models: tuple[ModelVersion, ...]
    left: ModelVersion
    right: ModelVersion
    order: str
    tone: str

    @classmethod
    def read(cls, query: Mapping[str, str], models: Sequence[ModelVersion]) -> "Filters":
        by_id = {str(model.public_id): model for model in models}
        left = by_id.get(query.get("left", ""), models[0])
        others = [model for model in models if model != left] or [left]
        right = by_id.get(query.get("right", ""), others[0])
        order = query.get("order", DIFFER)
        return cls(
            models=tuple(models),
            left=left,
            right=right if right != left else others[0],
            order=order if order in dict(ORDERS) else DIFFER,
            tone=query.get("tone", ""),
        )

    def address(self, benchmark: BenchmarkRun, **changes: str) -> str:
        """The query string of the same view with changes."""
        query = {
            "benchmark": str(benchmark.run.public_id),
            "left": str(self.left.public_id),
            "right": str(self.right.public_id),
            "order": self.order,
            "tone": self.tone,
        }
        return "?" + urlencode({name: value for name, value in (query | changes).items() if value})


@dataclass(frozen=True)
class CaseRow:
    """A case that both models have; ``difference`` is right minus left in the mean of six, ``None`` if unknown."""

    public_id: str
    tone: str
    difference: float | None


@dataclass(frozen=True)
class Side:
    place: str
    model: ModelVersion
    entry: BenchmarkEntry | None
    scores: dict[str, float | None]
    overall: float | None

    @property
    def version(self) -> Any:
        generation = self.entry.generation if self.entry else None
        return generation.version if generation else None


@dataclass(frozen=True)
class ScoreRow:
    name: str
    left: float | None
    right: float | None

    @property
    def difference(self) -> float | None:
        return None if self.left is None or self.right is None else self.right - self.left


@dataclass(frozen=True)
class Comparison:
    benchmark: BenchmarkRun
    filters: Filters
    tones: tuple[tuple[str, str], ...]
    total: int
    position: int
    previous: str
    following: str
    case: Case | None
    sides: tuple[Side, ...]
    scores: tuple[ScoreRow, ...]
    sections: tuple[AlignedSection, ...]

    orders = ORDERS

    @classmethod
    def of(cls, benchmark: BenchmarkRun, filters: Filters, asked: str) -> "Comparison":
        every = case_rows(benchmark, filters)
        tones = tuple(sorted({(row.tone, tone_words(row.tone)) for row in every}))
        rows = ordered([row for row in every if not filters.tone or row.tone == filters.tone], filters.order)
        ids = [row.public_id for row in rows]
        index = ids.index(asked) if asked in ids else 0
        shown = _shown(benchmark, filters, ids[index]) if ids else {}
        return cls(
            benchmark=benchmark,
            filters=filters,
            tones=tones,
            total=len(ids),
            position=index + 1,
            previous=filters.address(benchmark, case=ids[index - 1]) if index > 0 else "",
            following=filters.address(benchmark, case=ids[index + 1]) if index + 1 < len(ids) else "",
            case=shown.get("case"),
            sides=shown.get("sides", ()),
            scores=shown.get("scores", ()),
            sections=shown.get("sections", ()),
        )


def case_rows(benchmark: BenchmarkRun, filters: Filters) -> list[CaseRow]:
    """The benchmark's cases; one query per model, whatever their number."""
    left, right = (_means(benchmark, model) for model in (filters.left, filters.right))
    rows = []
    for public_id, (tone, mean) in left.items():
        other = right.get(public_id, (tone, None))[1]
        rows.append(CaseRow(public_id, tone, None if mean is None or other is None else other - mean))
    return rows


def _means(benchmark: BenchmarkRun, model: ModelVersion) -> dict[str, tuple[str, float | None]]:
    """By case: its tone, and the mean of six where all six are known."""
    found = (
        benchmark.entries.filter(model=model)
        .order_by("case_id")
        .values_list("case__public_id", "case__skin_tone_scale", "case__skin_tone")
        .annotate(known=Count("evaluation__scores__value"), mean=Avg("evaluation__scores__value"))
    )
    return {
        str(public_id): (tone_key(scale, tone), mean if known == len(DIMENSION_KEYS) else None)
        for public_id, scale, tone, known, mean in found
    }


def tone_key(scale: str, tone: str) -> str:
    return f"{scale}{SEPARATOR}{tone}" if tone else UNKNOWN_TONE


def tone_words(key: str) -> str:
    scale, _, tone = key.partition(SEPARATOR)
    return f"{tone} ({scale})" if tone else "not recorded"


def ordered(rows: list[CaseRow], order: str) -> list[CaseRow]:
    """By the size of the difference, the unknown last; or as they are."""
    if order == CASE_ORDER:
        return rows
    return sorted(rows, key=lambda row: (row.difference is None, -abs(row.difference or 0)))


def _shown(benchmark: BenchmarkRun, filters: Filters, public_id: str) -> dict[str, Any]:
    cases = Case.objects.select_related("source", "group").prefetch_related("images")
    case = get_object_or_404(cases, public_id=public_id)
    found = benchmark.entries.filter(case=case).select_related("generation__version__narrative", "evaluation")
    entries = {entry.model_id: entry for entry in found.prefetch_related("evaluation__scores")}
    left = side("left", filters.left, entries.get(filters.left.pk))
    right = side("right", filters.right, entries.get(filters.right.pk))
    names = row_names()
    scores = [ScoreRow(names[key], left.scores.get(key), right.scores.get(key)) for key in DIMENSION_KEYS]
    return {
        "case": case,
        "sides": (left, right),
        "scores": (*scores, ScoreRow(names[OVERALL], left.overall, right.overall)),
        "sections": aligned_sections(left.version, right.version),
    }


def side(place: str, model: ModelVersion, entry: BenchmarkEntry | None) -> Side:
    evaluation = entry.evaluation if entry else None
    scores = {score.dimension: score.value for score in evaluation.scores.all()} if evaluation else {}
    return Side(place, model, entry, scores, overall(scores))
