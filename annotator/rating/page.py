"""The rating page's context: the case, its text, six rows, her draft and her day."""

from typing import Any

from django.db.models import Count, DateTimeField
from django.utils import timezone

from annotator.rating import entry
from annotator.rating.narrative import A_DAY_S, case_context, image_urls, narrative_context, reference_of
from annotator.rating.previous import previous_case
from scoring.models import Assignment, Mark, NarrativeVersion, Rating, RatingDraft, Skip, Study
from scoring.prepared import Given, Prepared
from scoring.services.reveals import knows_reference
from scoring.worddiff import Chunk, word_diff

DRAFT: Prepared[RatingDraft] = Prepared(
    lambda: RatingDraft.objects.filter(assignment=Given("slot"), rater=Given("rater"))
)
RATED_SINCE: Prepared[tuple[int]] = Prepared(
    lambda: (
        Rating.objects.current()
        .filter(rater=Given("rater"), created_at__gte=Given("since", DateTimeField()))
        .values("rater")
        .annotate(number=Count("pk"))
        .values_list("number")
    )
)


def assignment_page(
    assignment: Assignment, rater: Any, *, corrects: Rating | None = None, **changes: Any
) -> dict[str, Any]:
    """The context of ``rating/assignment.html``; ``corrects``: her rating that is about to be changed."""
    version = assignment.version
    draft = DRAFT.first(slot=assignment.pk, rater=rater.pk)
    kept = draft.content.get("fields", {}) if draft else {}
    if corrects is not None:
        kept = entry.rating_fields(corrects) | kept
    corrections = {name: text for name, text in kept.items() if name.startswith("step-")}
    fields = corrections | (changes.pop("fields", None) or kept)
    errors = changes.pop("errors", {})
    is_own = assignment.purpose == Assignment.Purpose.REVISION
    return {
        "assignment": assignment,
        "corrects": corrects,
        "is_informed_change": corrects is not None and (corrects.informed or corrects.is_sealed),
        "is_own_revision": is_own,
        "changes": revision_changes(version) if is_own else [],
        "fields": fields,
        "rows": entry.dimension_rows(fields, errors),
        "keep_rows_s": A_DAY_S if entry.is_blank(fields, errors) else 0,
        "corrections": corrections,
        "client_uuid": entry.client_uuid(assignment, rater, corrects),
        "revision": draft.revision if draft else 0,
        "draft_page": draft.content.get("page", "") if draft else "",
        "active_seconds": (draft.content.get("active_seconds") if draft else None) or 0,
        **case_context(version),
        "images": image_urls(version.narrative.case),
        "reference": reference_of(version.narrative.case) if shows_reference(assignment, rater, corrects) else None,
        "previous": changes.pop("previous") if "previous" in changes else previous_case(rater, apart_from=assignment),
        "done_today": changes.pop("done_today") if "done_today" in changes else done_today(rater),
        "skip_reasons": Skip.Reason.choices,
        "error_types": Mark.ErrorType.choices,
        "severities": Mark.Severity.choices,
        **narrative_context(version, fields),
        **changes,
    }


def shows_reference(assignment: Assignment, rater: Any, corrects: Rating | None) -> bool:
    """Whether the page itself names the reference: always by the study's policy, or when she changes what she knows."""
    if assignment.study.reveal == Study.Reveal.AFTER_SUBMIT and corrects is not None:
        return knows_reference(rater=rater, case=assignment.version.narrative.case)
    return assignment.study.reveal == Study.Reveal.ALWAYS


def revision_changes(version: NarrativeVersion) -> list[Chunk]:
    """What her correction changed, step under step, word by word."""
    if version.parent is None:
        return []
    before, after = ("\n".join(step["text"] for step in v.step_texts()) for v in (version.parent, version))
    return word_diff(before, after)


def done_today(rater: Any) -> int:
    """Her ratings since midnight in the server's time zone."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return sum(number for (number,) in RATED_SINCE.rows(rater=rater.pk, since=midnight))
