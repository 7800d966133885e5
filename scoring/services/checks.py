"""Silent checks in the live queue: a text she has rated before, or one whose scores are agreed.

They look like any other narrative to the rater. Their ratings carry their purpose, so nothing that counts live
ratings (agreement, certification, data sets) ever sees them.
"""

import hashlib
from datetime import datetime

from django.db.models import Exists, Max, OuterRef, Q

from scoring.models import Assignment, CalibrationExample, CaseFlag, Enrolment, NarrativeVersion, Study
from scoring.models.narrative import NarrativeVersionQuerySet

REPEAT_AFTER = 20  # narratives between a text and its silent repeat
Purpose, State = Assignment.Purpose, Assignment.State


def take_check(*, study: Study, rater: int, state: str, now: datetime, lease: datetime) -> Assignment | None:
    """A new slot for a silent check, where this is the turn for one and a text for it is there.

    The turns are drawn by the study's seed, the rater and the place in her sequence: the study's shares of gold
    and of repeats, evenly at random.
    """
    hers = Assignment.objects.filter(study=study, rater=rater)
    following = (hers.aggregate(last=Max("sequence"))["last"] or 0) + 1
    drawn = _percent(f"{study.seed}:{rater}:{following}")
    if drawn < study.gold_percent:
        purpose, version = Purpose.GOLD, _gold(study, rater)
    elif drawn < study.gold_percent + study.repeat_percent:
        purpose, version = Purpose.REPEAT, _repeat(study, rater, following)
    else:
        return None
    if version is None:
        return None
    return Assignment.objects.create(
        study=study,
        version=version,
        case_id=version.narrative.case_id,
        language=version.narrative.language,
        purpose=purpose,
        slot=1,
        state=state,
        rater_id=rater,
        sequence=following,
        settings_version=study.settings_version,
        claimed_at=now,
        lease_expires=lease,
        order_key=0,
        why={"rule": purpose},
    )


def _repeat(study: Study, rater: int, following: int) -> NarrativeVersion | None:
    again = Assignment.objects.filter(version=OuterRef("pk"), rater=rater, purpose=Purpose.REPEAT)
    rated = Assignment.objects.filter(
        study=study,
        rater=rater,
        purpose=Purpose.LIVE,
        state=State.SUBMITTED,
        sequence__lt=following - REPEAT_AFTER,
    )
    return _one(NarrativeVersion.objects.filter(~Exists(again), pk__in=rated.values("version")), study, rater)


def _gold(study: Study, rater: int) -> NarrativeVersion | None:
    examples = CalibrationExample.objects.filter(
        rubric=study.rubric_id, role=CalibrationExample.Role.GOLD, retired_at__isnull=True
    )
    hers = Assignment.objects.filter(version=OuterRef("pk"), rater=rater)
    languages = Enrolment.objects.get(study=study, rater=rater).languages
    found = NarrativeVersion.objects.filter(
        ~Exists(hers), ~Q(narrative__versions__author=rater), pk__in=examples.values("version")
    )
    return _one(found.filter(narrative__language__in=languages), study, rater)


def _one(versions: NarrativeVersionQuerySet, study: Study, rater: int) -> NarrativeVersion | None:
    """One of them, drawn by the seed; never of a flagged case."""
    flags = CaseFlag.objects.filter(case=OuterRef("narrative__case"), resolved_at=None, kind__in=CaseFlag.PULLS)
    keys = list(versions.filter(~Exists(flags)).order_by("pk").values_list("pk", flat=True))
    if not keys:
        return None
    chosen = min(keys, key=lambda key: _percent(f"{study.seed}:{rater}:{key}"))
    return NarrativeVersion.objects.select_related("narrative").get(pk=chosen)


def _percent(text: str) -> float:
    """A number from 0 to 100, even at random but fixed by the text."""
    return 100 * int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
