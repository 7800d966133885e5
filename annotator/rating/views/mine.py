"""My work: her progress, her pace and her own ratings, each with what became of the narrative."""

from statistics import median
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotator.rating.door import rater_page
from annotator.rating.page import done_today, reference_of, shown_score
from scoring.models import Assignment, Certification, Enrolment, NarrativeVersion, Rating, Study
from scoring.rubric import DIMENSIONS, overall

PAGE_SIZE = 25
PACE_OVER = 50
CORRECTIONS_SHOWN = 20
TONES = {"certified": "ok", "adjudication": "warn", "revision": "warn", "rejected": "bad"}


@rater_page
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    ratings = Rating.objects.current().filter(rater=request.user.pk)
    page = Paginator(_with_outcomes(ratings), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "today": done_today(request.user),
        "total": page.paginator.count,
        "pace": _seconds_per_rating(ratings),
        "page_obj": page,
        "rows": [_row(rating) for rating in page],
        "dimensions": DIMENSIONS,
        "corrections": _corrections(request.user),
        "enrolments": Enrolment.objects.filter(rater=request.user.pk)
        .exclude(study__state=Study.State.DRAFT)
        .select_related("study", "sheet")
        .order_by("created_at"),
    }
    return render(request, "rating/mine.html", context)


def _verdicts() -> Prefetch:
    return Prefetch(
        "version__certifications", Certification.objects.filter(is_current=True), to_attr="current_certifications"
    )


def _with_outcomes(ratings: QuerySet[Rating]) -> QuerySet[Rating]:
    return (
        ratings.select_related("study", "version__narrative__case")
        .prefetch_related("scores", _verdicts())
        .order_by("-created_at", "-pk")
    )


def _seconds_per_rating(ratings: QuerySet[Rating]) -> int | None:
    """Median active seconds of her latest ratings; ``None`` while none is known."""
    latest = ratings.filter(active_seconds__isnull=False).order_by("-created_at")
    known = latest.values_list("active_seconds", flat=True)[:PACE_OVER]
    seconds = [value for value in known if value is not None]
    return round(median(seconds)) if seconds else None


def _row(rating: Rating) -> dict[str, Any]:
    values = rating.scores_by_dimension()
    case = rating.version.narrative.case
    return {
        "rating": rating,
        "code": case.code,
        "scores": [shown_score(values.get(dimension.key)) for dimension in DIMENSIONS],
        "overall": overall(values),
        "reference": reference_of(case) if rating.sealed_at is not None else None,
        **_outcome(rating.version, rating.study_id),
    }


def _outcome(version: NarrativeVersion, study_id: int) -> dict[str, str]:
    found = [c for c in version.current_certifications if c.study_id == study_id]  # type: ignore[attr-defined]
    if not found:
        return {"status": "Waits for colleagues", "tone": ""}
    return {"status": found[0].get_outcome_display(), "tone": TONES[found[0].outcome]}


def _corrections(rater: Any) -> list[dict[str, Any]]:
    """The versions she wrote, newest first, with how far their rating has come."""
    live = Q(assignments__purpose=Assignment.Purpose.LIVE)
    versions = (
        NarrativeVersion.objects.filter(author=rater)
        .select_related("narrative__case")
        .prefetch_related(Prefetch("certifications", Certification.objects.filter(is_current=True), to_attr="verdicts"))
        .annotate(
            slots=Count("assignments", filter=live),
            filled=Count("assignments", filter=live & Q(assignments__state=Assignment.State.SUBMITTED)),
        )
        .order_by("-created_at")[:CORRECTIONS_SHOWN]
    )
    return [
        {
            "version": version,
            "code": version.narrative.case.code,
            "status": version.verdicts[0].get_outcome_display() if version.verdicts else "Waits for colleagues",
            "tone": TONES[version.verdicts[0].outcome] if version.verdicts else "",
        }
        for version in versions
    ]
