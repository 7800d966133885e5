"""One slot for one rater: each statement here finds a row and takes it.

It is an ``UPDATE`` of the row whose key a sub-select names. On PostgreSQL the sub-select locks what it found
and passes over rows that others have locked; SQLite lets one writer in at a time. The table's unique
constraints stand behind both. Nothing is counted, nothing is looped over: the order was written into the
rows by ``services.priorities``. Hers, begun, next are three statements because PostgreSQL plans the three
in one for eight milliseconds; what it has planned once it keeps for as long as the connection lives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models.query import RawQuerySet
from django.db.models.sql.query import RawQuery

from scoring.models import Assignment, CaseFlag, NarrativeVersion, RatingDraft, Skip
from scoring.prepared import planned_cursor

TABLES = {
    "slots": Assignment._meta.db_table,
    "skips": Skip._meta.db_table,
    "flags": CaseFlag._meta.db_table,
    "versions": NarrativeVersion._meta.db_table,
    "drafts": RatingDraft._meta.db_table,
}
# Not flagged, and hers to judge: no other slot of this text, not skipped, none of the text by her, within her words.
MAY_HAVE = """
    a.study_id = %(study)s AND a.purpose = 'live'
    AND a.language IN ({languages}) AND a.needs_expertise IN ({expertise})
    AND NOT EXISTS (SELECT 1 FROM {slots} m
        WHERE m.version_id = a.version_id AND m.rater_id = %(rater)s AND m.purpose = 'live')
    AND NOT EXISTS (SELECT 1 FROM {skips} s WHERE s.version_id = a.version_id AND s.rater_id = %(rater)s)
    AND NOT EXISTS (SELECT 1 FROM {flags} f
        WHERE f.case_id = a.case_id AND f.resolved_at IS NULL AND f.kind IN ({pulls}))
    AND NOT EXISTS (SELECT 1 FROM {versions} v JOIN {versions} w
        ON w.narrative_id = v.narrative_id AND w.number <= v.number
        WHERE v.id = a.version_id AND w.author_id = %(rater)s)"""
# Crossed: she enters a case by its entry, and then the same slot of its other texts is hers.
CROSSED = """
    AND (a.reserved_for_id = %(rater)s OR (a.entry AND a.reserved_for_id IS NULL AND NOT EXISTS (
        SELECT 1 FROM {slots} m WHERE m.rater_id = %(rater)s AND m.case_id = a.case_id
        AND m.study_id = %(study)s AND m.purpose = 'live')))"""
FAR_APART = """
    AND NOT EXISTS (SELECT 1 FROM {slots} m WHERE m.rater_id = %(rater)s AND m.case_id = a.case_id
        AND m.study_id = %(study)s AND m.sequence > {following} - 1 - %(gap)s)"""
FOLLOWING = """(SELECT COALESCE(MAX(n.sequence), 0) + 1 FROM {slots} n
    WHERE n.rater_id = %(rater)s AND n.study_id = %(study)s)"""
OWN = """(SELECT a.id FROM {slots} a WHERE a.study_id = %(study)s AND a.rater_id = %(rater)s
    AND a.state IN ('held', 'claimed') ORDER BY a.state, a.claimed_at, a.id LIMIT 1)"""  # claimed before held
OWN_HELD = OWN.replace("IN ('held', 'claimed')", "= 'held'")
LEFT_DRAFTS = """SELECT 1 FROM {drafts} d JOIN {slots} x ON x.id = d.assignment_id
    WHERE d.rater_id = %(rater)s AND x.study_id = %(study)s
    AND (x.rater_id IS NULL OR x.rater_id <> %(rater)s) LIMIT 1"""
BEGUN = """(SELECT a.id FROM {drafts} d JOIN {slots} x ON x.id = d.assignment_id
    JOIN {slots} a ON a.version_id = x.version_id
    WHERE d.rater_id = %(rater)s AND a.state = 'open' AND {may_have}
    ORDER BY a.id <> x.id, d.updated_at, a.id LIMIT 1{lock})"""
NEXT = """(SELECT a.id FROM {slots} a WHERE a.state = 'open' AND {may_have}
    ORDER BY a.priority DESC, a.order_key, a.id LIMIT 1{lock})"""
NEXT_NEAR = NEXT.replace("{may_have}", "{may_have_near}")
THIS_VERSION = """(SELECT a.id FROM {slots} a WHERE a.state = 'open' AND a.version_id = %(version)s AND {may_have}
    ORDER BY a.slot LIMIT 1{lock})"""
HELD_BY_OTHERS = """(SELECT a.id FROM {slots} a WHERE a.state = 'held' AND a.rater_id <> %(rater)s AND {may_have}
    ORDER BY a.lease_expires, a.id LIMIT 1{lock})"""
TAKE = """
UPDATE {slots} SET
    state = '{state}',
    lease_expires = %(lease)s,
    claimed_at = CASE WHEN state = '{state}' THEN claimed_at ELSE %(now)s END,
    sequence = CASE WHEN rater_id = %(rater)s THEN sequence ELSE {following} END,
    settings_version = CASE WHEN rater_id = %(rater)s THEN settings_version ELSE %(settings)s END,
    rater_id = %(rater)s
WHERE id = {choice}
    AND (state = 'open' OR (state IN ('held', 'claimed') AND rater_id = %(rater)s){taken_over})
RETURNING *"""
EXPIRED = """SELECT id FROM {slots} WHERE study_id = %(study)s AND state IN ('held', 'claimed')
    AND lease_expires < %(now)s{lock}"""
BRING_DRAFT = """UPDATE {drafts} SET assignment_id = %(slot)s WHERE rater_id = %(rater)s AND assignment_id IN (
    SELECT a.id FROM {slots} a WHERE a.version_id = %(version)s
    AND (a.rater_id IS NULL OR a.rater_id <> %(rater)s))"""


@dataclass(frozen=True)
class Seeker:
    """Who asks for a slot, and what she may be given.

    ``gap``: texts between two of one case, in crossed studies. ``left_drafts``: whether something that she began
    stands under slots that are no longer hers.
    """

    study: int
    rater: int
    settings_version: int
    languages: Sequence[str]
    expertise: Sequence[str]
    crossed: bool
    gap: int
    left_drafts: bool


def take_own(seeker: Seeker, *, state: str, now: datetime, lease: datetime) -> Assignment | None:
    """The slot that she has already, for a claim also the one fetched ahead; its lease runs anew."""
    choice = OWN if state == Assignment.State.CLAIMED else OWN_HELD
    return _take(seeker, choice, state, now, lease)


def take_next(seeker: Seeker, *, state: str, now: datetime, lease: datetime) -> Assignment | None:
    """What she had begun, else the next slot in order; ``None`` when nothing is left for her.

    A claim that finds nothing else takes what another's page has fetched ahead. ``None`` is said only after a look
    that waited for rows which others had locked.
    """
    choices = [BEGUN, NEXT] if seeker.left_drafts else [NEXT]
    if state == Assignment.State.CLAIMED:
        choices += [NEXT_NEAR, HELD_BY_OTHERS] if seeker.crossed else [HELD_BY_OTHERS]
    found = _first(seeker, choices, state, now, lease)
    if found is not None or not connection.features.has_select_for_update_skip_locked:
        return found
    return _first(seeker, choices, state, now, lease, waiting=True)


def take_version(seeker: Seeker, version: int, *, now: datetime, lease: datetime) -> Assignment | None:
    """A slot of this very text; ``None`` when none is free for her."""
    return _take(seeker, THIS_VERSION, Assignment.State.CLAIMED, now, lease, version=version, waiting=True)


def expired_slots(*, study: int, now: datetime) -> list[int]:
    """Keys of the taken slots whose lease has run out, locked where the database locks rows."""
    with planned_cursor() as cursor:
        cursor.execute(EXPIRED.format(lock=_lock("", waiting=False), **TABLES), {"study": study, "now": _adapted(now)})
        return [row[0] for row in cursor.fetchall()]


def bring_draft(*, slot: int, version: int, rater: int) -> None:
    """What she entered under another slot of this text, before her lease ran out, comes along to this one."""
    with planned_cursor() as cursor:
        cursor.execute(BRING_DRAFT.format(**TABLES), {"slot": slot, "version": version, "rater": rater})


def has_left_drafts(*, study: int, rater: int) -> bool:
    """Whether she began something in the study under a slot that is no longer hers."""
    with planned_cursor() as cursor:
        cursor.execute(LEFT_DRAFTS.format(**TABLES), {"rater": rater, "study": study})
        return bool(cursor.fetchall())


def _first(
    seeker: Seeker, choices: Sequence[str], state: str, now: datetime, lease: datetime, *, waiting: bool = False
) -> Assignment | None:
    for choice in choices:
        found = _take(seeker, choice, state, now, lease, waiting=waiting)
        if found is not None:
            return found
    return None


def _take(
    seeker: Seeker,
    choice: str,
    state: str,
    now: datetime,
    lease: datetime,
    *,
    version: int | None = None,
    waiting: bool = False,
) -> Assignment | None:
    names, values = _names_and_values(seeker)
    values |= {"version": version, "now": _adapted(now), "lease": _adapted(lease)}
    names["lock"] = _lock(" OF a", waiting=waiting)
    taken_over = " OR state = 'held'" if choice is HELD_BY_OTHERS else ""
    sql = TAKE.format(choice=choice.format(**names), taken_over=taken_over, state=state, **names)
    query: Any = _Planned(sql, DEFAULT_DB_ALIAS, values)
    return next(iter(RawQuerySet(sql, Assignment, query)), None)


class _Planned(RawQuery):
    def _execute_query(self) -> None:
        self.cursor = planned_cursor()
        self.cursor.execute(self.sql, self.params)


def _names_and_values(seeker: Seeker) -> tuple[dict[str, str], dict[str, Any]]:
    """What stands in a statement's braces, and the values of its parameters, as far as the seeker decides them."""
    values: dict[str, Any] = {
        "study": seeker.study,
        "rater": seeker.rater,
        "settings": seeker.settings_version,
        "gap": seeker.gap,
    }
    words = {"languages": seeker.languages, "expertise": ["", *seeker.expertise], "pulls": CaseFlag.PULLS}
    names = dict(TABLES)
    for name, listed in words.items():
        values |= {f"{name}{number}": str(word) for number, word in enumerate(listed)}
        names[name] = ", ".join(f"%({name}{number})s" for number in range(len(listed))) or "NULL"
    names["following"] = FOLLOWING.format(**names)
    near = MAY_HAVE + (CROSSED if seeker.crossed else "")
    far = near + (FAR_APART if seeker.crossed and seeker.gap else "")
    return names | {"may_have": far.format(**names), "may_have_near": near.format(**names)}, values


def _lock(of: str, *, waiting: bool) -> str:
    if not connection.features.has_select_for_update:
        return ""
    return f" FOR UPDATE{of}" + ("" if waiting else " SKIP LOCKED")


def _adapted(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
