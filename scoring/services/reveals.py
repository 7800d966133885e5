"""Reveals: when a rater is shown a reference diagnosis, what she has said about the case is sealed."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from scoring.models import Case, Rating, Reveal, Study
from scoring.prepared import Given, Prepared
from scoring.services.audit import record_event

SHOWN: Prepared[tuple[int]] = Prepared(
    lambda: Reveal.objects.filter(rater=Given("rater"), case=Given("case")).values_list("pk")
)


def knows_reference(*, rater: Any, case: Case) -> bool:
    return bool(SHOWN.rows(rater=rater.pk, case=case.pk))


@transaction.atomic
def record_reveal(*, rater: Any, case: Case) -> None:
    """Keep that she was shown the reference, and seal her first submissions about this case."""
    _row, fresh = Reveal.objects.get_or_create(rater=rater, case=case)
    if fresh:
        now = timezone.now()
        hers = Rating.objects.filter(rater=rater, version__narrative__case=case, sealed_at__gt=now)
        hers.update(sealed_at=now)


def record_reveals(*, rater: Any, cases: Iterable[Case]) -> None:
    """The same for many cases at once: of a page that names their references, whoever opens it.

    Staff may be raters too, or become it; what they later say about these cases is informed. Writes nothing, and
    opens no transaction, where all of them are known.
    """
    keys = {case.pk for case in cases}
    fresh = keys - set(Reveal.objects.filter(rater=rater, case__in=keys).values_list("case", flat=True))
    if not fresh:
        return
    now = timezone.now()
    with transaction.atomic():
        Reveal.objects.bulk_create([Reveal(rater=rater, case_id=key) for key in sorted(fresh)], ignore_conflicts=True)
        hers = Rating.objects.filter(rater=rater, version__narrative__case__in=fresh, sealed_at__gt=now)
        hers.update(sealed_at=now)


@transaction.atomic
def reveal_reference(*, rating: Rating, rater: Any) -> None:
    """Show her the reference of a case she has submitted; from now on her scores of it are sealed.

    Raises ``ValidationError`` when the rating is not hers or the study never shows references.
    """
    if rating.rater_id != rater.pk:
        raise ValidationError(_("This is somebody else's rating."))
    if rating.study.reveal == Study.Reveal.NEVER:
        raise ValidationError(_("This study does not show reference diagnoses."))
    record_reveal(rater=rater, case=rating.version.narrative.case)
    record_event(actor=rater, action="reference.revealed", subject=rating)
