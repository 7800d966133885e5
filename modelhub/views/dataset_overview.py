"""What stands above and below on the DermCoT and DermBench pages: what is certified now, and what was frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Max
from django.http import HttpRequest

from modelhub.models import Artifact, Training
from scoring.models import DatasetVersion, Study
from scoring.services.datasets import chosen_certifications, preview_dataset

PER_PAGE = 20
LEVELS = 4
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Cell:
    """A count and how deep it is tinted, 0 (none) to ``LEVELS``."""

    count: int
    level: int


@dataclass(frozen=True)
class Crosstab:
    """Texts or cases by diagnosis (rows) and skin tone (columns), each column under its scale's name."""

    scales: tuple[tuple[str, int], ...]
    tones: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...], int], ...]
    totals: tuple[int, ...]


def dataset_context(request: HttpRequest, kind: str) -> dict[str, Any]:
    studies = Study.objects.exclude(state=Study.State.DRAFT).order_by("-created_at")
    study = chosen_study(list(studies), request.GET.get("study", ""))
    page = Paginator(frozen(kind), PER_PAGE).get_page(request.GET.get("page"))
    return {
        "kind": kind,
        "label": DatasetVersion.Kind(kind).label,
        "studies": studies,
        "study": study,
        "preview": preview_dataset(kind=kind, study=study) if study else None,
        "crosstab": certified_crosstab(kind, study) if study else None,
        "next_number": (DatasetVersion.objects.filter(kind=kind).aggregate(last=Max("number"))["last"] or 0) + 1,
        "page_obj": page,
        "versions": with_artifacts(page),
    }


def chosen_study(studies: list[Study], asked: str) -> Study | None:
    """The study asked for, else the newest running one, else the newest."""
    by_id = {str(study.public_id): study for study in studies}
    if asked in by_id:
        return by_id[asked]
    return next((study for study in studies if study.is_open), studies[0] if studies else None)


def frozen(kind: str) -> Any:
    return DatasetVersion.objects.filter(kind=kind).select_related("study", "created_by").order_by("-number")


def with_artifacts(page: Page[Any]) -> list[dict[str, Any]]:
    """Each version with its newest finished export and the trainings on it; two queries for any number of versions."""
    versions = list(page)
    newest = {a.dataset_id: a for a in Artifact.objects.filter(dataset__in=versions).order_by("pk")}
    trained = dict(Training.objects.filter(dataset__in=versions).values_list("dataset").annotate(n=Count("pk")))
    return [{"dataset": v, "artifact": newest.get(v.pk), "trainings": trained.get(v.pk, 0)} for v in versions]


def certified_crosstab(kind: str, study: Study) -> Crosstab | None:
    """What would be frozen now; ``None`` when nothing would."""
    case = "version__narrative__case"
    counted = (
        chosen_certifications(kind=kind, study=study)
        .order_by()
        .values_list(f"{case}__diagnosis", f"{case}__skin_tone_scale", f"{case}__skin_tone")
        .annotate(n=Count("pk"))
    )
    return crosstab({(diagnosis, (scale, tone)): n for diagnosis, scale, tone, n in counted})


def crosstab(counts: Mapping[tuple[str, tuple[str, str]], int]) -> Crosstab | None:
    """``counts`` by diagnosis and (scale, tone), both empty where the tone is not recorded; ``None`` without any."""
    if not counts:
        return None
    columns = sorted({column for _, column in counts}, key=_tone_order)
    diagnoses = sorted({diagnosis for diagnosis, _ in counts})
    largest = max(counts.values())
    rows = tuple(
        (
            diagnosis,
            tuple(cell(counts.get((diagnosis, column), 0), largest) for column in columns),
            sum(counts.get((diagnosis, column), 0) for column in columns),
        )
        for diagnosis in diagnoses
    )
    names = [scale or UNKNOWN for scale, _ in columns]
    scales = tuple((name, names.count(name)) for name in dict.fromkeys(names))
    totals = tuple(sum(counts.get((diagnosis, column), 0) for diagnosis in diagnoses) for column in columns)
    return Crosstab(scales, tuple(tone or "–" for _, tone in columns), rows, totals)


def cell(count: int, largest: int) -> Cell:
    return Cell(count, -(-LEVELS * count // largest) if count else 0)


TONE_ORDER = {"light": 0, "medium": 1, "dark": 2}


def _tone_order(column: tuple[str, str]) -> tuple[bool, str, int, str]:
    """Scales by name, tones from light to dark, the unknown last."""
    scale, tone = column
    return (not scale, scale, TONE_ORDER.get(tone.casefold(), 3), tone)
