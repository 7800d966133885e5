"""What a rater submitted just before: how she goes back to it, looks at its reference, disputes it."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from annotator.rating.entry import CANNOT_JUDGE
from annotator.rating.narrative import Reference, reference_of
from scoring.models import Assignment, Dispute, Rating, Score, Study
from scoring.prepared import Given, Prepared
from scoring.rubric import DIMENSION_KEYS
from scoring.services.ratings import UNDO_FOR
from scoring.services.reveals import knows_reference

SCORES: Prepared[tuple[str, float | None]] = Prepared(
    lambda: Score.objects.filter(rating=Given("rating")).values_list("dimension", "value")
)


@dataclass(frozen=True)
class PreviousCase:
    """Her submission just before: what she may still do with it, and the reference once she has looked."""

    rating: Rating
    code: str
    scores: tuple[str, ...]
    reference: Reference | None
    dispute: Dispute | None
    may_reveal: bool
    may_correct: bool

    confidences = Dispute.Confidence.choices

    @property
    def may_dispute(self) -> bool:
        return self.reference is not None and self.dispute is None


def shown_score(value: float | None) -> str:
    """A score as figures; ``x`` where she could not judge."""
    return CANNOT_JUDGE if value is None else f"{value:g}"


def previous_case(rater: Any, *, apart_from: Assignment | None = None) -> PreviousCase | None:
    """The case she submitted last, if that was a moment ago."""
    recent = Rating.objects.current().filter(rater=rater, created_at__gte=timezone.now() - UNDO_FOR)
    if apart_from is not None:
        recent = recent.exclude(assignment=apart_from)
    last = recent.select_related("study", "assignment", "version__narrative__case")
    rating = last.order_by("-created_at", "-pk").first()
    return None if rating is None else as_previous(rating, rater)


def as_previous(rating: Rating, rater: Any) -> PreviousCase:
    case = rating.version.narrative.case
    may_see = rating.study.reveal != Study.Reveal.NEVER
    knows = may_see and knows_reference(rater=rater, case=case)
    values = dict(SCORES.rows(rating=rating.pk))
    return PreviousCase(
        rating=rating,
        code=case.code,
        scores=tuple(shown_score(values.get(key)) for key in DIMENSION_KEYS),
        reference=reference_of(case) if knows else None,
        dispute=Dispute.objects.open().filter(case=case, rater=rater).first() if knows else None,
        may_reveal=may_see and not knows,
        may_correct=rating.is_first and not rating.is_sealed,
    )
