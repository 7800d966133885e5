"""How many ratings each case's texts get: the study's overlap, or the higher one for a share drawn within strata."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import Max

from scoring.models import Assignment, Case, Study
from scoring.models.assignment import AssignmentQuerySet
from scoring.services.crossing import mark_entries
from scoring.services.priorities import CASE_FACTS
from scoring.strata import CaseFacts
from scoring.strategies import STRATEGIES


def planned_overlaps(study: Study, cases: Iterable[Case]) -> dict[int, int]:
    """Ratings per text, by case key. A case that the study has keeps what it got.

    Within each stratum the cases are walked in an order drawn by the seed, and one gets the higher overlap
    whenever the stratum's share would otherwise fall behind: the share is met to the nearest whole case.
    """
    planned, facts = _planned_already(study)
    if study.overlap_high is None or not study.overlap_percent:
        return {case.pk: planned.get(case.pk, study.overlap) for case in cases}
    seen: Counter[str] = Counter()
    high: Counter[str] = Counter()
    for key, overlap in planned.items():
        seen[_stratum(study, facts[key])] += 1
        high[_stratum(study, facts[key])] += overlap > study.overlap
    wanted = {case.pk: case for case in cases}
    for case in sorted((c for c in wanted.values() if c.pk not in planned), key=lambda c: _drawn(study, c)):
        known = CaseFacts(case.skin_tone, case.skin_tone_scale, case.diagnosis, case.source.name)
        stratum = _stratum(study, known)
        seen[stratum] += 1
        is_high = high[stratum] < _share(study, seen[stratum])
        high[stratum] += is_high
        planned[case.pk] = study.overlap_high if is_high else study.overlap
    return {key: planned[key] for key in wanted}


def _planned_already(study: Study) -> tuple[dict[int, int], Mapping[int, CaseFacts]]:
    slots = _slots(study).order_by()
    rows = slots.values_list("case", *CASE_FACTS).annotate(last=Max("slot"))
    planned: dict[int, int] = {}
    facts: dict[int, CaseFacts] = {}
    for case, tone, scale, condition, source, last in rows:
        planned[case], facts[case] = last, CaseFacts(tone, scale, condition, source)
    return planned, facts


def _stratum(study: Study, facts: CaseFacts) -> str:
    return facts.stratum(study.overlap_by) if study.overlap_by else ""


def _drawn(study: Study, case: Case) -> bytes:
    return hashlib.blake2b(f"{study.seed}:{case.public_id.hex}:overlap".encode(), digest_size=16).digest()


@transaction.atomic
def fit_slots(study: Study) -> tuple[int, int]:
    """After a change of the shares: add slots to cases that now get more ratings, close surplus ones still open.

    Returns how many were added and closed. A slot that is taken or done is never touched, so a case that
    has had its further ratings keeps them.
    """
    planned, facts = _planned_already(study)
    cases = {case.pk: case for case in Case.objects.filter(pk__in=planned).select_related("source")}
    high = _chosen(study, planned, facts, cases)
    added, surplus = [], []
    by_version: dict[int, list[Assignment]] = defaultdict(list)
    for slot in _slots(study).select_related("version").order_by("slot"):
        by_version[slot.version_id].append(slot)
    for slots in by_version.values():
        wanted = study.overlap_high if slots[0].case_id in high and study.overlap_high else study.overlap
        surplus += [slot.pk for slot in slots[wanted:] if slot.state == Assignment.State.OPEN]
        added += [_further(study, slots[0], number) for number in range(len(slots) + 1, wanted + 1)]
    if study.crossed and added:
        mark_entries(added)
    Assignment.objects.bulk_create(added, batch_size=1000)
    closed = Assignment.objects.filter(pk__in=surplus, state=Assignment.State.OPEN)
    return len(added), closed.update(state=Assignment.State.CLOSED)


def _chosen(
    study: Study, planned: Mapping[int, int], facts: Mapping[int, CaseFacts], cases: Mapping[int, Case]
) -> set[int]:
    """The cases of the higher overlap: those that have it first, then as drawn, to each stratum's share."""
    if study.overlap_high is None:
        return set()
    strata: dict[str, list[int]] = defaultdict(list)
    for key in sorted(planned, key=lambda key: (planned[key] <= study.overlap, _drawn(study, cases[key]))):
        strata[_stratum(study, facts[key])].append(key)
    return {key for keys in strata.values() for key in keys[: _share(study, len(keys))]}


def _share(study: Study, cases: int) -> int:
    return int(cases * study.overlap_percent / 100 + 0.5)


def _further(study: Study, like: Assignment, number: int) -> Assignment:
    return Assignment(
        study=study,
        version=like.version,
        case_id=like.case_id,
        language=like.language,
        slot=number,
        boost=like.boost,
        pushed=like.pushed,
        needs_expertise=like.needs_expertise,
        order_key=STRATEGIES[study.strategy].order_key(
            seed=study.seed, version=like.version_id, version_id=like.version.public_id.hex, slot=number
        ),
    )


def _slots(study: Study) -> AssignmentQuerySet:
    live = Assignment.objects.filter(study=study, purpose=Assignment.Purpose.LIVE)
    return live.exclude(state=Assignment.State.CLOSED)
