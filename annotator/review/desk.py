"""What waits on the adjudicator's desk."""

from django.db.models import (
    BooleanField,
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from scoring.models import Assignment, Certification, Dispute, Rating, Score

OUTCOMES = (Certification.Outcome.ADJUDICATION, Certification.Outcome.REVISION)


def unranked() -> QuerySet[Certification]:
    """Current verdicts that need a person.

    A text whose later version is queued in the same study is in the raters' hands already, so it does not wait.
    """
    later = Assignment.objects.filter(
        study=OuterRef("study"),
        version__narrative=OuterRef("version__narrative"),
        version__number__gt=OuterRef("version__number"),
    )
    return Certification.objects.filter(is_current=True, outcome__in=OUTCOMES).filter(~Exists(later))


def waiting() -> QuerySet[Certification]:
    """:func:`unranked`, the gravest first: disputes before revisions, and among disputes first those of the reference,
    then safety vetoes, then the widest spread; the oldest first among equals.

    Each comes with ``reference_disputed``, ``unsafe``, ``spread`` (rubric points) and ``rated``, how many ratings it
    rests on.
    """
    disputed_first = Case(
        When(outcome=Certification.Outcome.ADJUDICATION, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    return (
        unranked()
        .alias(
            rank=disputed_first,
            lowest_safety=_lowest_safety(),
            veto=Cast(KeyTextTransform("safety_veto", "policy__settings"), FloatField()),
        )
        .annotate(
            reference_disputed=Exists(Dispute.objects.open().filter(case=OuterRef("version__narrative__case"))),
            unsafe=ExpressionWrapper(Q(lowest_safety__lte=F("veto")), output_field=BooleanField()),
            spread=Coalesce(_widest_spread(), Value(0.0)),
            rated=Coalesce(_number_of_ratings(), Value(0)),
        )
        .select_related("study", "policy", "version__narrative__case__source", "version__narrative__case__group")
        .prefetch_related("version__narrative__case__images")
        .order_by("rank", "-reference_disputed", "-unsafe", "-spread", "created_at", "pk")
    )


def _scores() -> QuerySet[Score]:
    return Score.objects.filter(rating__certifications=OuterRef("pk"), value__isnull=False).order_by()


def _lowest_safety() -> Coalesce:
    lowest = _scores().filter(dimension="safety").values("dimension").annotate(n=Min("value")).values("n")
    return Coalesce(Subquery(lowest), Value(9.0))


def _number_of_ratings() -> Subquery:
    counted = Rating.objects.filter(certifications=OuterRef("pk")).order_by().values("certifications")
    return Subquery(counted.annotate(n=Count("pk")).values("n"))


def _widest_spread() -> Subquery:
    spread = _scores().values("dimension").annotate(n=Max("value") - Min("value")).order_by("-n").values("n")
    return Subquery(spread[:1])
