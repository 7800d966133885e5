"""What an administrator sees of a queue: slots by state, who has which, what comes next and why, what starves."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from scoring.models import Assignment, CaseFlag, Enrolment, NarrativeVersion, Skip, Study

State = Assignment.State
LIVE = Assignment.Purpose.LIVE
NEXT_SHOWN = 10


@dataclass(frozen=True)
class Counts:
    """Live slots. ``starving``: open ones for which there are fewer raters left than slots."""

    open: int
    held: int
    claimed: int
    submitted: int
    flagged: int
    starving: int

    @property
    def total(self) -> int:
        return self.open + self.held + self.claimed + self.submitted


@dataclass(frozen=True)
class Starving:
    """A text with ``slots`` open for which only ``raters`` of those taking part are left, and what keeps the others."""

    version: NarrativeVersion
    slots: int
    raters: int
    reasons: dict[str, int]


def counts_of(study: Study, starving: list[Starving]) -> Counts:
    live = Assignment.objects.filter(study=study, purpose=LIVE)
    by_state = dict(live.order_by().values_list("state").annotate(n=Count("pk")))
    flagged = CaseFlag.objects.filter(resolved_at=None, kind__in=CaseFlag.PULLS).values("case")
    return Counts(
        open=by_state.get(State.OPEN, 0),
        held=by_state.get(State.HELD, 0),
        claimed=by_state.get(State.CLAIMED, 0),
        submitted=by_state.get(State.SUBMITTED, 0),
        flagged=live.filter(state=State.OPEN, case__in=flagged).count(),
        starving=sum(one.slots - one.raters for one in starving),
    )


def next_slots(study: Study, number: int = NEXT_SHOWN) -> list[Assignment]:
    """The open slots in the order in which they are given, each with its reason."""
    waiting = Assignment.objects.filter(study=study, purpose=LIVE, state=State.OPEN)
    return list(waiting.select_related("case", "version").order_by("-priority", "order_key", "pk")[:number])


def taken_slots(study: Study) -> list[Assignment]:
    """What raters have before them or fetched ahead, the oldest first."""
    taken = Assignment.objects.filter(study=study, state__in=Assignment.LEASED)
    return list(taken.select_related("case", "rater").order_by("claimed_at", "pk"))


def waiting_skips(study: Study) -> list[Skip]:
    """Skips for another reason that no administrator has dealt with."""
    skips = Skip.objects.filter(study=study, reason=Skip.Reason.OTHER, seen_at=None)
    return list(skips.select_related("version__narrative__case", "rater").order_by("created_at"))


def starving_versions(study: Study) -> list[Starving]:
    """Texts with more open slots than raters who may still take one, the scarcest first; a fixed number of queries.

    A rater is left for a text when she takes part, reads its language, has the expertise it needs, has not had,
    skipped or written any of it, and, in a crossed study, has no other place in its case.
    """
    live = Assignment.objects.filter(study=study, purpose=LIVE)
    names = ("version", "version__narrative", "version__number", "case", "language", "needs_expertise", "reserved_for")
    waiting: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for slot in live.filter(state=State.OPEN).values(*names):
        waiting[slot["version"]].append(slot)
    raters = [enrolment for enrolment in Enrolment.objects.filter(study=study) if enrolment.may_rate]
    past = _Past(study, raters)
    short: dict[int, tuple[int, int, dict[str, int]]] = {}
    for version, slots in waiting.items():
        # A rater is kept from a text only where each of its open slots keeps her.
        kept = [min((past.keeps(slot, rater) for slot in slots), key=bool) for rater in raters]
        left = kept.count("")
        if left < len(slots):
            short[version] = (len(slots), left, {reason: kept.count(reason) for reason in kept if reason})
    found = NarrativeVersion.objects.select_related("narrative__case").in_bulk(list(short))
    listed = [Starving(found[key], *rest) for key, rest in short.items()]
    return sorted(listed, key=lambda one: (one.raters - one.slots, one.version.pk))


class _Past:
    """What the raters of a study have had, skipped and written."""

    def __init__(self, study: Study, raters: list[Enrolment]) -> None:
        live = Assignment.objects.filter(study=study, purpose=LIVE)
        self.crossed = study.crossed
        had = list(live.exclude(rater=None).values_list("version", "case", "rater"))
        self.had = {(version, rater) for version, _, rater in had}
        self.cases = {(case, rater) for _, case, rater in had}
        self.skipped = set(Skip.objects.filter(version__in=live.values("version")).values_list("version", "rater"))
        self.written: dict[tuple[int, int | None], int] = {}
        texts = NarrativeVersion.objects.filter(author__in=[enrolment.rater_id for enrolment in raters])
        for narrative, author, number in texts.order_by("-number").values_list("narrative", "author", "number"):
            self.written[narrative, author] = number  # the first that she wrote is kept last

    def keeps(self, slot: dict[str, Any], rater: Enrolment) -> str:
        """Why this slot is not for her; empty when it is."""
        hers = (slot["version"], rater.rater_id)
        first_written = self.written.get((slot["version__narrative"], rater.rater_id))
        elsewhere = self.crossed and (slot["case"], rater.rater_id) in self.cases
        reasons = {
            "language": slot["language"] not in rater.languages,
            "expertise": bool(slot["needs_expertise"]) and slot["needs_expertise"] not in rater.expertise,
            "skipped": hers in self.skipped,
            "had": hers in self.had,
            "wrote": first_written is not None and first_written <= slot["version__number"],
            "crossed": slot["reserved_for"] != rater.rater_id and bool(slot["reserved_for"] or elsewhere),
        }
        return next((reason for reason, keeps in reasons.items() if keeps), "")


def crossed_rows(study: Study) -> tuple[int, int]:
    """Of a crossed study: how many rows of slots (case and rater) are whole so far, and how many have begun."""
    live = Assignment.objects.filter(study=study, purpose=LIVE).exclude(state=State.CLOSED)
    rows: dict[tuple[int, int], set[Any]] = defaultdict(set)
    for case, slot, rater, state in live.values_list("case", "slot", "rater", "state"):
        rows[case, slot].add(rater if state == State.SUBMITTED else None)
    begun = [people for people in rows.values() if people != {None}]
    return sum(len(people) == 1 for people in begun), len(begun)
