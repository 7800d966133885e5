"""Priorities: the study's strategy, written into the slots that are open, so that a claim only has to sort."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from scoring.digest import canonical_json
from scoring.models import Assignment, Score, Study
from scoring.strata import WORDS, CaseFacts, needed_expertise
from scoring.strategies import STRATEGIES, Place
from scoring.strategies.base import HIGHEST_RANK

BOOST_WEIGHT = HIGHEST_RANK + 1
LIVE = Assignment.Purpose.LIVE
TAKEN = (*Assignment.LEASED, Assignment.State.SUBMITTED)
BETWEEN_REFRESHES = timedelta(seconds=10)
CASE_FACTS = ("case__skin_tone", "case__skin_tone_scale", "case__diagnosis", "case__source__name")


class StudyFacts:
    """A study as the strategies see it (``scoring.strategies.base.Facts``); each question is one query."""

    def __init__(self, study: Study) -> None:
        self.study, self.seed, self.quotas = study, study.seed, study.quotas

    def waiting(self) -> Sequence[int]:
        return sorted({slot["version"] for slot in self.slots})

    @cached_property
    def slots(self) -> list[dict[str, Any]]:
        """The open slots, as plain rows."""
        names = ("pk", "version", "version__public_id", "slot", "boost", "pushed", "priority", "why", "order_key")
        return list(Assignment.objects.filter(_open(self.study)).order_by("pk").values(*names))

    def strata(self) -> dict[int, dict[str, str]]:
        rows = Assignment.objects.filter(_open(self.study)).values_list("version", *CASE_FACTS).distinct()
        return {version: strata_of(CaseFacts(*facts)) for version, *facts in rows}

    def shares(self) -> dict[tuple[str, str], float]:
        rows = Assignment.objects.filter(study=self.study, purpose=LIVE, state__in=TAKEN).order_by()
        counts: dict[tuple[str, str], int] = defaultdict(int)
        total = 0
        for *facts, number in rows.values_list(*CASE_FACTS).annotate(number=Count("pk")):
            total += number
            for stratum in strata_of(CaseFacts(*facts)).items():
                counts[stratum] += number
        return {stratum: 100 * number / total for stratum, number in counts.items()}

    def scores(self) -> dict[int, list[dict[str, float | None]]]:
        first = Score.objects.filter(
            rating__study=self.study, rating__purpose=LIVE, rating__is_first=True, rating__version__in=self.waiting()
        )
        by_rating: dict[tuple[int, int], dict[str, float | None]] = defaultdict(dict)
        for version, rating, dimension, value in first.values_list(
            "rating__version", "rating", "dimension", "value"
        ).order_by("rating"):
            by_rating[version, rating][dimension] = value
        found: dict[int, list[dict[str, float | None]]] = defaultdict(list)
        for (version, _), scores in by_rating.items():
            found[version].append(scores)
        return found

    def pushed(self) -> dict[int, float]:
        return {slot["version"]: slot["pushed"] for slot in self.slots if slot["pushed"] is not None}


def strata_of(facts: CaseFacts) -> dict[str, str]:
    return {by: facts.stratum(by) for by in WORDS}


def refresh_priorities(*, study: Study) -> int:
    """Write each open slot's priority and its reason anew; returns how many slots changed.

    Slots that are taken meanwhile keep what they were taken with. Each group of equal places is one
    statement, so that no claim waits for more than one.
    """
    facts = StudyFacts(study)
    places = STRATEGIES[study.strategy].places(facts)
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    whys: dict[str, Mapping[str, Any]] = {}
    for slot in facts.slots:
        place = places.get(slot["version"], Place(0, {}))
        priority, why = place_of(slot["boost"], place)
        if (priority, why) != (slot["priority"], slot["why"]):
            text = canonical_json(why)
            groups[priority, text].append(slot["pk"])
            whys[text] = why
    for (priority, text), keys in groups.items():
        rows = Assignment.objects.filter(pk__in=keys, state=Assignment.State.OPEN)
        rows.update(priority=priority, why=whys[text])
    Study.objects.filter(pk=study.pk).update(priorities_at=timezone.now())
    return sum(map(len, groups.values()))


def refresh_running_studies() -> int:
    """Refresh each running study that was not refreshed just now; for the clock to call. Returns how many."""
    now = timezone.now()
    due = Q(priorities_at=None) | Q(priorities_at__lt=now - BETWEEN_REFRESHES)
    refreshed = 0
    for study in Study.objects.filter(due, state=Study.State.RUNNING):
        # Whoever changes the row refreshes: two clocks must not write the same slots in two orders.
        if Study.objects.filter(due, pk=study.pk).update(priorities_at=now):
            refresh_priorities(study=study)
            refreshed += 1
    return refreshed


@transaction.atomic
def push_priorities(*, study: Study, numbers: Mapping[int, float]) -> int:
    """Set the number that the *pushed* strategy orders by, by version key; returns how many slots have it."""
    changed = 0
    for number in sorted(set(numbers.values())):
        versions = [version for version, value in numbers.items() if value == number]
        changed += Assignment.objects.filter(_open(study), version__in=versions).update(pushed=number)
    return changed


@transaction.atomic
def reorder_slots(*, study: Study) -> None:
    """After a change of strategy or expertise: order keys and needed expertise of the open slots anew."""
    strategy = STRATEGIES[study.strategy]
    slots = list(Assignment.objects.filter(_open(study)).select_related("version", "case"))
    for slot in slots:
        slot.order_key = strategy.order_key(
            seed=study.seed, version=slot.version_id, version_id=slot.version.public_id.hex, slot=slot.slot
        )
        slot.needs_expertise = needed_expertise(study.expertise, slot.case.diagnosis)
    Assignment.objects.bulk_update(slots, ["order_key", "needs_expertise"], batch_size=500)


def place_of(boost: int, place: Place) -> tuple[int, dict[str, Any]]:
    """The stored priority and reason: what people pushed to the front stands before any strategy."""
    why = dict(place.why) | ({"boost": boost} if boost else {})
    return boost * BOOST_WEIGHT + place.rank, why


def _open(study: Study) -> Q:
    return Q(study=study, purpose=LIVE, state=Assignment.State.OPEN)
