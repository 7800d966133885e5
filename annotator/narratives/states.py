"""Where a narrative stands in a study, read from its latest version."""

from typing import Any

from django.db.models import Case as Choice
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from scoring.models import Assignment, Certification, Narrative, NarrativeVersion, Rating, Study

NOT_QUEUED, RATING = "not_queued", "rating"
STATES = {
    NOT_QUEUED: (_("Not queued"), ""),
    RATING: (_("Rating"), "info"),
    Certification.Outcome.CERTIFIED.value: (_("Certified"), "ok"),
    Certification.Outcome.ADJUDICATION.value: (_("Adjudication"), "warn"),
    Certification.Outcome.REVISION.value: (_("Revision"), "warn"),
    Certification.Outcome.REJECTED.value: (_("Rejected"), "bad"),
}


def narratives_in(study: Study) -> QuerySet[Any]:
    """All narratives with ``latest`` (key of the latest version), ``state`` in this study and ``rated``.

    ``rated`` counts the live ratings of the latest version; the state is its verdict, else
    *rating* once it is queued.
    """
    latest = NarrativeVersion.objects.filter(narrative=OuterRef("pk")).order_by("-number").values("pk")[:1]
    verdict = Certification.objects.filter(study=study, is_current=True, version=OuterRef("latest")).values("outcome")
    queued = Assignment.objects.filter(study=study, version=OuterRef("latest"))
    ratings = (
        Rating.objects.live()
        .filter(study=study, version=OuterRef("latest"))
        .order_by()
        .values("version")
        .annotate(n=Count("pk"))
        .values("n")
    )
    state = Coalesce(Subquery(verdict[:1]), Choice(When(Exists(queued), then=Value(RATING)), default=Value(NOT_QUEUED)))
    return Narrative.objects.annotate(latest=Subquery(latest)).annotate(
        state=state, rated=Coalesce(Subquery(ratings, output_field=IntegerField()), 0)
    )


def count_states(narratives: QuerySet[Any]) -> dict[str, int]:
    """Narratives per state, 0 where there is none."""
    found = dict(narratives.order_by().values_list("state").annotate(n=Count("pk")))
    return {state: found.get(state, 0) for state in STATES}


def latest_versions(narratives: QuerySet[Any]) -> QuerySet[NarrativeVersion]:
    """The latest version of each narrative of :func:`narratives_in`."""
    return NarrativeVersion.objects.filter(pk__in=narratives.order_by().values("latest"))
