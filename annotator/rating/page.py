"""What the rating page shows of an assignment. Nothing here can name who or what wrote the text."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.urls import reverse
from django.utils import timezone

from annotator.rating import entry
from scoring.models import Assignment, Case, NarrativeVersion, Rating, RatingDraft, Skip, Study
from scoring.narrative_format import STEP_KINDS
from scoring.rubric import DIMENSIONS

SHOWN_FOR = timedelta(minutes=30)


@dataclass(frozen=True)
class Reference:
    """A reference diagnosis with its basis, once the study's policy lets her see it."""

    diagnosis: str
    basis: str


@dataclass(frozen=True)
class PreviousCase:
    """Her submission just before, with what it revealed."""

    code: str
    reference: Reference
    scores: tuple[tuple[str, str], ...]


def assignment_page(assignment: Assignment, rater: Any, **changes: Any) -> dict[str, Any]:
    """The context of ``rating/assignment.html``: case, text, six rows, her draft and her day."""
    version = assignment.version
    case = version.narrative.case
    draft = RatingDraft.objects.filter(assignment=assignment, rater=rater).first()
    kept = draft.content.get("fields", {}) if draft else {}
    corrections = {name: text for name, text in kept.items() if name.startswith("step-")}
    fields = corrections | (changes.pop("fields", None) or kept)
    return {
        "assignment": assignment,
        "fields": fields,
        "rows": entry.dimension_rows(fields, changes.pop("errors", None)),
        "corrections": corrections,
        "client_uuid": entry.client_uuid(assignment, rater),
        "revision": draft.revision if draft else 0,
        "active_seconds": (draft.content.get("active_seconds") if draft else None) or 0,
        "chips": context_chips(case),
        "images": image_urls(case),
        "reference": reference_of(case) if assignment.study.reveal == Study.Reveal.ALWAYS else None,
        "previous": previous_case(assignment, rater),
        "done_today": done_today(rater),
        "skip_reasons": Skip.Reason.choices,
        **narrative_context(version),
        **changes,
    }


def narrative_context(version: NarrativeVersion) -> dict[str, Any]:
    """The text as numbered steps under the headings of their kinds, in reading order."""
    steps = version.step_texts()
    sections = [
        {"kind": kind, "heading": STEP_KINDS[kind], "steps": list(group)}
        for kind, group in groupby(steps, key=lambda step: step["kind"])
    ]
    return {
        "sections": sections,
        "step_count": len(steps),
        "language": version.narrative.language,
        "truncated": version.truncated,
        "whole_text": "" if steps else version.text,
    }


def context_chips(case: Case) -> list[str]:
    """Body site, age with sex, and skin tone with its scale: those that the case has."""
    sex = case.get_sex_display() if case.sex else ""
    age = f"{case.age} y" if case.age is not None else ""
    chips = [
        case.body_site[:1].upper() + case.body_site[1:],
        " · ".join(part for part in (age, sex) if part),
        f"Skin tone: {case.skin_tone} ({case.skin_tone_scale})" if case.skin_tone else "",
    ]
    return [chip for chip in chips if chip]


def image_urls(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "url": reverse("cases:image", args=[image.public_id]),
            "thumbnail": reverse("cases:thumbnail", args=[image.public_id]),
            "width": image.width,
            "height": image.height,
        }
        for number, image in enumerate(case.images.all(), start=1)
    ]


def reference_of(case: Case) -> Reference:
    return Reference(case.diagnosis, case.get_diagnosis_basis_display())


def shown_score(value: float | None) -> str:
    return "cannot judge" if value is None else f"{value:g}"


def previous_case(assignment: Assignment, rater: Any) -> PreviousCase | None:
    """The case she submitted last in this study, if it is sealed and was a moment ago."""
    rating = (
        Rating.objects.current()
        .filter(study=assignment.study_id, rater=rater, sealed_at__gte=timezone.now() - SHOWN_FOR)
        .select_related("version__narrative__case")
        .prefetch_related("scores")
        .order_by("-created_at")
        .first()
    )
    if rating is None:
        return None
    case = rating.version.narrative.case
    values = rating.scores_by_dimension()
    scores = tuple((d.name, shown_score(values.get(d.key))) for d in DIMENSIONS)
    return PreviousCase(case.code, reference_of(case), scores)


def done_today(rater: Any) -> int:
    """Her ratings since midnight in the server's time zone."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Rating.objects.current().filter(rater=rater, created_at__gte=midnight).count()
