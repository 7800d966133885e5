"""What was voted, arm by arm; and how far a comparison has come."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from scoring.models import Comparison, Pair, PairSlot, Preference, PreferenceChoice
from scoring.models.preference import OVERALL
from scoring.rubric import dimensions_in

Choice = PreferenceChoice.Choice
ARM_OF = {
    (Choice.LEFT.value, True): "first",
    (Choice.LEFT.value, False): "second",
    (Choice.RIGHT.value, True): "second",
    (Choice.RIGHT.value, False): "first",
}
ANSWERS = ("first", "second", "tie", "both_bad")


@dataclass(frozen=True)
class Tally:
    """Votes on one question; ``first`` and ``second`` are the arms, whichever side they stood on."""

    name: str
    first: int
    second: int
    tie: int
    both_bad: int

    @property
    def total(self) -> int:
        return self.first + self.second + self.tie + self.both_bad


def with_progress(comparisons: QuerySet[Comparison]) -> QuerySet[Comparison]:
    """Each with ``pair_count``, ``held_back``, ``wanted`` slots and ``given`` votes; one query for all."""
    in_use = ~Q(pairs__state=Pair.State.WITHDRAWN)
    voted = Q(pairs__slots__state=PairSlot.State.SUBMITTED)
    return (
        comparisons.select_related("study")
        .order_by("-created_at", "-pk")
        .annotate(
            pair_count=Count("pairs", distinct=True),
            held_back=Count("pairs", filter=Q(pairs__state=Pair.State.FLAGGED), distinct=True),
            wanted=Count("pairs__slots", filter=in_use | voted, distinct=True),
            given=Count("pairs__slots", filter=voted, distinct=True),
        )
    )


def tallies(comparison: Comparison) -> list[Tally]:
    """Overall first, then the six dimensions."""
    votes = (
        PreferenceChoice.objects.filter(
            preference__slot__pair__comparison=comparison, preference__origin=Preference.Origin.BLIND
        )
        .values_list("dimension", "choice", "preference__slot__first_is_left")
        .annotate(n=Count("pk"))
    )
    found: dict[str, dict[str, int]] = {}
    for dimension, choice, first_left, n in votes:
        arm = ARM_OF.get((choice, first_left), choice)
        counts = found.setdefault(dimension, dict.fromkeys(ANSWERS, 0))
        counts[arm] += n
    names = {OVERALL: _("Overall")} | {d.key: d.name for d in dimensions_in(get_language())}
    empty = dict.fromkeys(ANSWERS, 0)
    return [Tally(name, **found.get(key, empty)) for key, name in names.items()]
