"""The dashboard's figures, computed by a worker and stored for the pages to read."""

from datetime import timedelta
from typing import Any

from django.db.models import Avg, Case, CharField, Count, Exists, Max, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from modelhub.models import Generation, Run, Snapshot
from scoring.models import (
    Assignment,
    AuditEvent,
    CaseFlag,
    Certification,
    NarrativeVersion,
    Rating,
    RubricVersion,
    Score,
    Split,
    Study,
)
from scoring.rubric import DIMENSION_KEYS

NAME = "dashboard"
DAYS = 30
AT_LEAST_EVERY = timedelta(minutes=1)  # leases run out and days end without an event
UNQUEUED, WAITING, RATED = "unqueued", "waiting", "rated"
FUNNEL = {
    UNQUEUED: _("Not in a queue"),
    WAITING: _("Waits for its first rating"),
    RATED: _("Partly rated"),
    **dict(Certification.Outcome.choices),
}


def refresh_dashboard(*, force: bool = False) -> bool:
    """Compute and store the snapshot ``dashboard`` if something has happened; whether it did.

    Content: ``waiting`` (``ratings``: free slots, ``adjudications`` and ``revisions``: versions, ``flags``: open case
    flags), ``certified`` (``dermcot``, ``dermbench``), ``ratings_per_day`` (30 days, ``simulated`` a part of
    ``count``), ``dimensions`` (mean and n of current live scores under the newest rubric), ``rubric``, ``funnel``
    (every version but DermBench candidates is in one state), ``tones`` (certified versions), ``runs`` (by state).
    """
    mark = _mark()
    stored = Snapshot.objects.filter(name=NAME).first()
    if stored is not None and not force:
        fresh = timezone.now() - stored.computed_at < AT_LEAST_EVERY
        if fresh and stored.content.get("mark") == mark:
            return False
    Snapshot.objects.update_or_create(name=NAME, defaults={"content": dashboard() | {"mark": mark}})
    return True


def dashboard() -> dict[str, Any]:
    rubric = RubricVersion.objects.filter(ratings__in=Rating.objects.live()).order_by("-number").first()
    return {
        "waiting": _waiting(),
        "certified": _certified(),
        "ratings_per_day": _ratings_per_day(),
        "dimensions": _dimensions(rubric),
        "rubric": rubric.number if rubric else None,
        "funnel": _funnel(),
        "tones": _tones(),
        "runs": dict(Run.objects.order_by().values_list("state").annotate(n=Count("pk"))),
    }


def _mark() -> list[Any]:
    """Changes whenever a figure may have: the last event, the last text, the states of the runs."""
    runs = Run.objects.order_by("state").values_list("state").annotate(n=Count("pk"))
    last_event = AuditEvent.objects.aggregate(last=Max("pk"))["last"]
    last_text = NarrativeVersion.objects.aggregate(last=Max("pk"))["last"]
    return [last_event, last_text, CaseFlag.objects.filter(resolved_at=None).count(), [list(row) for row in runs]]


def _waiting() -> dict[str, int]:
    slots = Assignment.objects.claimable(timezone.now())
    current = Certification.objects.filter(is_current=True)
    return {
        "ratings": slots.filter(study__state=Study.State.RUNNING, purpose=Assignment.Purpose.LIVE).count(),
        "adjudications": current.filter(outcome=Certification.Outcome.ADJUDICATION).count(),
        "revisions": current.filter(outcome=Certification.Outcome.REVISION).count(),
        "flags": CaseFlag.objects.filter(resolved_at=None).count(),
    }


def _certified() -> dict[str, int]:
    certified = NarrativeVersion.objects.certified()
    return {
        "dermcot": certified.in_split(Split.TRAINING).distinct().count(),
        "dermbench": certified.in_split(Split.EVALUATION).distinct().count(),
    }


def _ratings_per_day() -> list[dict[str, Any]]:
    """The last days in order, today last, days without a rating included; corrections are not counted again."""
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    given = Rating.objects.live().annotate(day=TruncDate("created_at")).filter(day__gte=days[0]).order_by()
    rows = given.values("day").annotate(count=Count("pk"), simulated=Count("pk", filter=Q(simulated=True)))
    found = {row["day"]: row for row in rows}
    none = {"count": 0, "simulated": 0}
    return [
        {"day": day.isoformat(), **{name: found.get(day, none)[name] for name in ("count", "simulated")}}
        for day in days
    ]


def _dimensions(rubric: RubricVersion | None) -> list[dict[str, Any]]:
    scores = Score.objects.filter(rating__in=Rating.objects.live(), rating__rubric=rubric, value__isnull=False)
    rows = scores.order_by().values("dimension").annotate(n=Count("pk"), mean=Avg("value"))
    found = {row["dimension"]: row for row in rows}
    none = {"n": 0, "mean": None}
    return [{"key": key, **{name: found.get(key, none)[name] for name in ("n", "mean")}} for key in DIMENSION_KEYS]


def _funnel() -> dict[str, Any]:
    """Each version once, at the furthest point it has reached in any study."""
    verdicts = Certification.objects.filter(version=OuterRef("pk"), is_current=True)
    outcomes = [When(Exists(verdicts.filter(outcome=outcome)), then=Value(outcome)) for outcome in _furthest_first()]
    rated = Rating.objects.live().filter(version=OuterRef("pk"))
    queued = Assignment.objects.filter(version=OuterRef("pk"))
    state = Case(
        *outcomes,
        When(Exists(rated), then=Value(RATED)),
        When(Exists(queued), then=Value(WAITING)),
        default=Value(UNQUEUED),
        output_field=CharField(),
    )
    counts = dict(_for_people().annotate(state=state).order_by().values_list("state").annotate(n=Count("pk")))
    states = [{"key": key, "count": counts.get(key, 0)} for key in FUNNEL]
    return {"total": sum(counts.values()), "states": states}


def _furthest_first() -> tuple[str, ...]:
    outcome = Certification.Outcome
    return (outcome.CERTIFIED, outcome.ADJUDICATION, outcome.REVISION, outcome.REJECTED)


def _for_people() -> QuerySet[NarrativeVersion]:
    """All versions but the candidates of DermBench runs, which nobody is meant to rate."""
    candidates = Generation.objects.filter(version=OuterRef("pk"), run__kind=Run.Kind.BENCHMARK)
    return NarrativeVersion.objects.filter(~Exists(candidates))


def _tones() -> list[dict[str, Any]]:
    scale, tone = "narrative__case__skin_tone_scale", "narrative__case__skin_tone"
    certified = NarrativeVersion.objects.filter(pk__in=NarrativeVersion.objects.certified().values("pk"))
    rows = certified.order_by(scale, tone).values_list(scale, tone).annotate(n=Count("pk"))
    return [{"scale": row[0], "tone": row[1], "count": row[2]} for row in rows]
