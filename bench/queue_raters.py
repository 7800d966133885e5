"""Raters who hammer one queue through the product's services, and what the tables and their diaries say afterwards.

Needs Django set up. Used by `bench.queue` in processes, and by the tests in threads.
"""

import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from scoring.models import Assignment, Case, CaseFlag, CaseGroup, Narrative, NarrativeVersion, Rating, Source, Study
from scoring.rubric import DIMENSION_KEYS
from scoring.services import queue
from scoring.services.flags import resolve_flag
from scoring.services.ratings import submit_rating

IDLE_S = 0.05
LOST = (OperationalError, IntegrityError)


@dataclass(frozen=True)
class Habits:
    """Shares of narratives, 0 to 1, on which a rater does something other than rate and go on."""

    skip: float = 0.04
    flag: float = 0.005
    walk_away: float = 0.03
    post_twice_at_once: float = 0.04
    post_again: float = 0.04
    lose_connection: float = 0.03
    fetch_ahead: float = 0.5
    read_s: float = 0.0  # at most so long between taking a narrative and doing something about it
    fresh_uuid: bool = False  # a twin: the page makes a new id for every try


@dataclass
class Diary:
    """One line per event, written as it happens, so that it outlives a killed process."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.path.touch()

    def note(self, event: str, **facts: Any) -> None:
        with self.lock, self.path.open("a") as file:
            file.write(json.dumps({"at": time.monotonic_ns(), "event": event, **facts}) + "\n")


def add_narratives(study: Study, number: int, *, per_case: int = 1) -> None:
    """Rows for `number` narratives, stored in bulk, and their slots through the product's service."""
    source = Source.objects.create(name=f"Bench {uuid.uuid4()}", licence="CC0", basis="None.")
    cases = range(number // per_case)
    CaseGroup.objects.bulk_create(CaseGroup(source=source, key=f"p{n}", split="training") for n in cases)
    groups = CaseGroup.objects.filter(source=source).order_by("pk")
    stored = Case.objects.bulk_create(
        Case(source=source, source_key=f"k{n}", group=group, diagnosis="naevus", diagnosis_basis="consensus")
        for n, group in enumerate(groups)
    )
    narratives = Narrative.objects.bulk_create(Narrative(case=case) for case in stored for _ in range(per_case))
    text = "<think> A brown papule. </think><answer> Naevus. </answer>"
    versions = NarrativeVersion.objects.bulk_create(
        NarrativeVersion(
            narrative=narrative,
            number=1,
            text=text,
            steps=[{"kind": "finding", "start": 8, "end": 23}],
            author_kind="machine",
            origin="draft",
            sha256="0" * 64,
        )
        for narrative in narratives
    )
    queue.enqueue_versions(study=study, versions=versions, actor=None)


def rate_until_done(
    study: Study, rater: Any, *, habits: Habits, seed: int, diary: Diary, may_go_on: Callable[[], bool]
) -> None:
    """One page of one rater: next, judge, next, until every slot is submitted or it may not go on."""
    dice = random.Random(seed)
    try:
        while may_go_on():
            try:
                if not _one(study, rater, habits, dice, diary) and _all_done(study):
                    return
            except LOST as error:  # as a page would: say so and ask again
                diary.note("broken", rater=rater.pk, error=f"{type(error).__name__}: {error}"[:300])
                connection.close()
    except Exception as error:
        diary.note("error", rater=rater.pk, error=f"{type(error).__name__}: {error}"[:300])
        raise
    finally:
        connection.close()


def _one(study: Study, rater: Any, habits: Habits, dice: random.Random, diary: Diary) -> bool:
    began = time.perf_counter()
    slot = queue.claim_next(study=study, rater=rater)
    if slot is None:
        time.sleep(IDLE_S * (1 + dice.random()))
        return False
    took = time.perf_counter() - began
    since = slot.claimed_at.timestamp() if slot.claimed_at else began
    diary.note("claim", slot=slot.pk, rater=rater.pk, case=slot.case_id, since=since, ms=1000 * took)
    time.sleep(dice.random() * habits.read_s)
    if dice.random() < habits.fetch_ahead:
        queue.hold_next(study=study, rater=rater)
    drawn = dice.random()
    for share, act in ((habits.walk_away, _walk_away), (habits.flag, _flag), (habits.skip, _skip)):
        if drawn < share:
            diary.note("release", slot=slot.pk, rater=rater.pk)
            act(slot, rater)
            return True
        drawn -= share
    _rate(slot, rater, habits, dice, diary)
    return True


def _walk_away(slot: Assignment, rater: Any) -> None:
    """The lid closes, and its lease runs out at once instead of in half an hour."""
    past = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=slot.pk, rater=rater, state="claimed").update(lease_expires=past)


def _flag(slot: Assignment, rater: Any) -> None:
    _pass_on(slot, rater, "bad_image")


def _skip(slot: Assignment, rater: Any) -> None:
    _pass_on(slot, rater, "outside_expertise")


def _pass_on(slot: Assignment, rater: Any, reason: str) -> None:
    try:
        queue.skip_assignment(assignment=slot, rater=rater, reason=reason)
    except ValidationError:
        return  # it was pulled from under her, and her page says so


def _rate(slot: Assignment, rater: Any, habits: Habits, dice: random.Random, diary: Diary) -> None:
    from scoring.services.entries import ScoreInput

    scores = {key: ScoreInput(float(dice.randint(3, 5))) for key in DIMENSION_KEYS}
    page_id = uuid.uuid5(slot.public_id, str(rater.public_id))

    def post() -> None:
        client_uuid = uuid.uuid4() if habits.fresh_uuid else page_id
        submit_rating(assignment=slot, rater=rater, client_uuid=client_uuid, scores=scores, simulated=True)

    diary.note("release", slot=slot.pk, rater=rater.pk)
    if dice.random() < habits.lose_connection:
        diary.note("connection lost", slot=slot.pk)
        _lose_connection(post)
    if dice.random() < habits.post_twice_at_once:
        threads = [threading.Thread(target=_posted, args=(post, slot, rater, diary, False)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    if _posted(post, slot, rater, diary, True) and dice.random() < habits.post_again:
        try:
            post()
        except ValidationError:
            diary.note("repeat refused", slot=slot.pk, rater=rater.pk)


def _posted(post: Callable[[], None], slot: Assignment, rater: Any, diary: Diary, keep: bool) -> bool:
    """Posted, if need be again and again as a page does that got no answer; `False` when refused for good."""
    try:
        for attempt in range(10):
            try:
                post()
            except LOST as error:
                diary.note("broken", rater=rater.pk, error=f"{type(error).__name__}: {error}"[:300])
                connection.close()
                time.sleep(IDLE_S * attempt)
            except ValidationError as refused:
                done = Rating.objects.filter(assignment=slot, rater=rater).exists()
                diary.note("repeat refused" if done else "refused", slot=slot.pk, why=refused.messages[0])
                return False
            else:
                return True
        diary.note("error", rater=rater.pk, error="ten tries broke")
        return False
    finally:
        if not keep:
            connection.close()


def _lose_connection(post: Callable[[], None]) -> None:
    """The connection goes after the work, before the commit: PostgreSQL's server process is ended, SQLite's closed."""
    try:
        with transaction.atomic():
            post()
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            else:
                connection.connection.close()
                raise OperationalError("closed")
    except Exception:  # whatever the driver makes of it: the page got no answer
        connection.close()


def settle_flags(study: Study, administrator: Any, diary: Diary) -> int:
    """The administrator looks at the flagged cases and lets them go on; returns how many."""
    flags = list(CaseFlag.objects.filter(resolved_at=None, case__assignments__study=study).distinct())
    for flag in flags:
        diary.note("pulled", case=flag.case_id)  # from all who had it, and from now on others may have it
        resolve_flag(flag=flag, actor=administrator, resolution="The picture is good enough.")
    return len(flags)


def _all_done(study: Study) -> bool:
    return not Assignment.objects.filter(study=study, state__in=["open", "held", "claimed"]).exists()


@dataclass(frozen=True)
class Outcome:
    """What became of a run. ``exact``: every narrative has its overlap of ratings by different people, no more."""

    exact: bool
    duplicates: int
    starved: int
    handed_twice: int
    repeats_refused: int
    errors: int
    ratings: int
    claims: int
    claim_p95_ms: float | None
    events: dict[str, int]

    @property
    def holds(self) -> bool:
        return self.exact and not (
            self.duplicates or self.starved or self.handed_twice or self.repeats_refused or self.errors
        )


def outcome_of(study: Study, diaries: Iterable[Path]) -> Outcome:
    """Counted from the tables, and from the diaries what no table keeps: who believed to have a slot when."""
    events = sorted(
        (json.loads(line) for path in diaries for line in path.read_text().splitlines()), key=lambda one: one["at"]
    )
    ratings = list(Rating.objects.current().filter(study=study, purpose="live").values_list("version", "rater"))
    by_version = Counter(version for version, _ in ratings)
    versions = set(study.assignments.values_list("version", flat=True))
    pairs, kinds = Counter(ratings), Counter(event["event"] for event in events)
    claims = sorted(event["ms"] for event in events if event["event"] == "claim")
    slots = Rating.objects.filter(study=study, supersedes=None).values_list("assignment", flat=True)
    return Outcome(
        exact=bool(versions)
        and set(by_version) == versions
        and all(by_version[version] == study.overlap for version in versions)
        and max(pairs.values(), default=0) == 1,
        duplicates=sum(count - 1 for count in pairs.values()) + sum(n - 1 for n in Counter(slots).values()),
        starved=sum(by_version[version] < study.overlap for version in versions),
        handed_twice=_handed_twice(events),
        repeats_refused=kinds["repeat refused"],
        errors=kinds["error"],
        ratings=len(ratings),
        claims=len(claims),
        claim_p95_ms=round(claims[int(0.95 * (len(claims) - 1))], 1) if claims else None,
        events=dict(kinds),
    )


def _handed_twice(events: Sequence[dict[str, Any]]) -> int:
    """How often a slot went to a second rater while a first had it and had not let go.

    A claim that was written down only after another's later one of the same slot is no sign of anything.
    """
    holder: dict[int, tuple[int, int]] = {}
    latest: dict[int, float] = {}
    count = 0
    for event in events:
        if event["event"] == "claim":
            slot, before = event["slot"], holder.get(event["slot"])
            if event["since"] < latest.get(slot, event["since"]):
                continue
            count += before is not None and before[0] != event["rater"]
            holder[slot], latest[slot] = (event["rater"], event["case"]), event["since"]
        elif event["event"] == "release" and holder.get(event["slot"], (0,))[0] == event["rater"]:
            del holder[event["slot"]]
        elif event["event"] == "pulled":
            holder = {slot: who for slot, who in holder.items() if who[1] != event["case"]}
    return count
