"""My work: her progress, her pace, how near she is to colleagues, and her own ratings with what became of them."""

from statistics import median
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotator.rating.door import rater_page
from annotator.rating.narrative import reference_of
from annotator.rating.own_agreement import own_agreement
from annotator.rating.page import done_today
from annotator.rating.previous import shown_score
from scoring.models import (
    Assignment,
    Certification,
    Dispute,
    Enrolment,
    NarrativeVersion,
    Rating,
    RatingDraft,
    Reveal,
    Study,
)
from scoring.rubric import DIMENSION_KEYS, dimensions_in, overall
from scoring.services.ratings import DECIDED

PAGE_SIZE = 25
PACE_OVER = 50
CORRECTIONS_SHOWN = 20
TONES = {"certified": "ok", "adjudication": "warn", "revision": "warn", "rejected": "bad"}


@rater_page
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    rater = request.user
    ratings = Rating.objects.current().filter(rater=rater.pk)
    page = Paginator(_with_outcomes(ratings), PAGE_SIZE).get_page(request.GET.get("page"))
    dimensions = dimensions_in(get_language())
    names = {dimension.key: dimension.name for dimension in dimensions}
    context = {
        "today": done_today(rater),
        "total": page.paginator.count,
        "pace": _seconds_per_rating(ratings),
        "page_obj": page,
        "rows": [_row(rating) for rating in page],
        "dimensions": dimensions,
        "agreement": [(names[distance.dimension], distance) for distance in own_agreement(rater)],
        "corrections": _corrections(rater),
        "enrolments": Enrolment.objects.filter(rater=rater.pk)
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
    shown = Reveal.objects.filter(rater=OuterRef("rater"), case=OuterRef("version__narrative__case"))
    begun = RatingDraft.objects.with_correction().filter(assignment=OuterRef("assignment"), rater=OuterRef("rater"))
    disputed = Dispute.objects.open().filter(rater=OuterRef("rater"), case=OuterRef("version__narrative__case"))
    return (
        ratings.select_related("study", "assignment", "supersedes", "version__narrative__case")
        .prefetch_related("scores", _verdicts())
        .annotate(is_revealed=Exists(shown), is_disputed=Exists(disputed), has_correction=Exists(begun))
        .order_by("-created_at", "-pk")
    )


def _seconds_per_rating(ratings: QuerySet[Rating]) -> int | None:
    """Median active seconds of her latest ratings; ``None`` while none is known."""
    latest = ratings.filter(active_seconds__isnull=False).order_by("-created_at")
    known = latest.values_list("active_seconds", flat=True)[:PACE_OVER]
    seconds = [value for value in known if value is not None]
    return round(median(seconds)) if seconds else None


def _row(rating: Any) -> dict[str, Any]:
    """One rating; what became of its text is shown once her own scores are sealed."""
    values = rating.scores_by_dimension()
    case = rating.version.narrative.case
    may_see = rating.study.reveal != Study.Reveal.NEVER
    found = [c for c in rating.version.current_certifications if c.study_id == rating.study_id]
    decided = bool(found) and found[0].outcome in DECIDED
    return {
        "rating": rating,
        "code": case.code,
        "scores": [shown_score(values.get(key)) for key in DIMENSION_KEYS],
        "overall": overall(values),
        "reference": reference_of(case) if may_see and rating.is_revealed else None,
        "may_reveal": may_see and not rating.is_revealed,
        "may_dispute": may_see and rating.is_revealed and not rating.is_disputed,
        "may_correct": not rating.is_sealed and rating.is_first,
        "may_change": (rating.is_sealed or rating.informed) and not decided,
        "is_changed": rating.informed and rating.supersedes is not None,
        **_outcome(rating, found),
    }


def _outcome(rating: Rating, found: list[Certification]) -> dict[str, Any]:
    if rating.purpose == Assignment.Purpose.REVISION:
        return {"status": _("Your own text: does not count"), "tone": ""}
    if not rating.is_sealed:
        return {"status": _("Can still be corrected"), "tone": "info"}
    if not found:
        return {"status": _("Waits for colleagues"), "tone": ""}
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
            "status": version.verdicts[0].get_outcome_display() if version.verdicts else _("Waits for colleagues"),
            "tone": TONES[version.verdicts[0].outcome] if version.verdicts else "",
        }
        for version in versions
    ]
