"""What waits on the adjudicator's desk."""

from django.db.models import Case, Exists, IntegerField, OuterRef, QuerySet, Value, When

from scoring.models import Assignment, Certification

OUTCOMES = (Certification.Outcome.ADJUDICATION, Certification.Outcome.REVISION)


def waiting() -> QuerySet[Certification]:
    """Current verdicts that need a person: disputes first, then revisions, the oldest first.

    A text whose later version is queued in the same study is in the raters' hands already, so it
    does not wait.
    """
    later = Assignment.objects.filter(
        study=OuterRef("study"),
        version__narrative=OuterRef("version__narrative"),
        version__number__gt=OuterRef("version__number"),
    )
    disputed_first = Case(
        When(outcome=Certification.Outcome.ADJUDICATION, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    return (
        Certification.objects.filter(is_current=True, outcome__in=OUTCOMES)
        .filter(~Exists(later))
        .select_related("study", "policy", "version__narrative__case__source", "version__narrative__case__group")
        .prefetch_related("version__narrative__case__images")
        .order_by(disputed_first, "created_at", "pk")
    )
