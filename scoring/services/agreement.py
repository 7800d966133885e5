"""Agreement of a study's raters, kept up to date by a worker; pages read what is stored.

A tick adds the ratings that were sealed since the last one to the stored columns and computes the coefficients from
these; only where the set differs otherwise (somebody was excluded) is the log read again. Resampling and the raters'
own figures take longer, so they follow part by part, each at most once in ``RESAMPLE_AFTER``, within what a tick may
take.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from scoring.agreement.bootstrap import RESAMPLES
from scoring.agreement.columns import Columns, unpacked
from scoring.agreement.groups import group_rows, spreads
from scoring.agreement.study import ROWS, dimension_intervals, rater_rows, study_figures
from scoring.models import Agreement, NarrativeVersion, Rating, Study
from scoring.services.sealed_scores import RatingSet, rating_sets, read_columns, sealed_ratings

RATERS, GROUPS = "raters", "groups"
SLOW_PARTS: tuple[str, ...] = (*ROWS, RATERS, GROUPS)
RESAMPLE_AFTER = timedelta(seconds=60)
LOOK_BACK = timedelta(minutes=2)  # a rating may be committed later than it was sealed
TICK_S = 2.0


def refresh_agreements(*, now: datetime | None = None, budget_s: float = TICK_S, resamples: int = RESAMPLES) -> int:
    """One tick over all started studies; how many agreements got new figures."""
    began, now = time.monotonic(), now or timezone.now()
    studies = list(Study.objects.exclude(state=Study.State.DRAFT).order_by("pk"))
    changed = sum(refresh_agreement(study=study, now=now) for study in studies)
    for agreement in Agreement.objects.filter(study__in=studies, figures_at__isnull=False).order_by("pk"):
        for part in due_parts(agreement, now):
            if time.monotonic() - began > budget_s:
                return changed
            refresh_part(agreement=agreement, part=part, now=now, resamples=resamples)
    return changed


def refresh_agreement(*, study: Study, now: datetime | None = None) -> int:
    """New figures where ratings were sealed or stopped counting; of how many rubric versions."""
    now = now or timezone.now()
    sets = rating_sets(study, now)
    stored = {agreement.rubric_id: agreement for agreement in Agreement.objects.filter(study=study)}
    changed = 0
    for rubric in sorted({*sets, *stored}):
        wanted = sets.get(rubric, RatingSet(0, 0))
        agreement = stored.get(rubric)
        if agreement is None:
            agreement, _created = Agreement.objects.get_or_create(study=study, rubric_id=rubric)
        if agreement.figures_at is None or RatingSet(agreement.ratings, agreement.key_sum) != wanted:
            changed += _store_figures(agreement, _columns(agreement, wanted, now), now)
    return changed


def refresh_part(*, agreement: Agreement, part: str, now: datetime | None = None, resamples: int = RESAMPLES) -> None:
    """Resample one dimension, or compute the raters' or the groups' figures; kept with the ratings they rest on."""
    now, columns, seed = now or timezone.now(), unpacked(bytes(agreement.columns)), agreement.study.seed
    entry = {"at": now.isoformat(), "ratings": agreement.ratings, "key_sum": agreement.key_sum}
    if part == RATERS:
        entry["rows"] = rater_rows(columns)
    elif part == GROUPS:
        entry |= _groups(agreement.study, columns)
    else:
        found = dimension_intervals(columns, part, resamples=resamples, seed=seed)
        entry |= {"estimates": found, "resamples": resamples, "seed": seed}
    agreement.slow_parts = {**agreement.slow_parts, part: entry}
    Agreement.objects.filter(pk=agreement.pk).update(slow_parts=agreement.slow_parts)


def due_parts(agreement: Agreement, now: datetime) -> list[str]:
    """The slow parts that rest on other ratings than the figures and are old enough, the oldest first."""
    ages = {}
    for part in SLOW_PARTS:
        entry = agreement.slow_parts.get(part)
        at = datetime.fromisoformat(entry["at"]) if entry else datetime.min.replace(tzinfo=now.tzinfo)
        same = entry and (entry["ratings"], entry["key_sum"]) == (agreement.ratings, agreement.key_sum)
        if not same and now - at >= RESAMPLE_AFTER:
            ages[part] = at
    return sorted(ages, key=lambda part: ages[part])


def _groups(study: Study, columns: Columns) -> dict[str, Any]:
    rated = NarrativeVersion.objects.filter(pk__in=Rating.objects.filter(study=study).values("version"))
    texts = list(rated.values_list("pk", "narrative__language", "origin"))
    return {
        "by_language": group_rows(columns, {key: language for key, language, _ in texts}),
        "by_origin": group_rows(columns, {key: origin for key, _, origin in texts}),
        "spreads": spreads(columns),
    }


def _columns(agreement: Agreement, wanted: RatingSet, now: datetime) -> Columns:
    """The stored rows and those sealed since; the whole log where that is not the wanted set."""
    ratings = sealed_ratings(agreement.study, now).filter(rubric=agreement.rubric_id)
    if agreement.sealed_until is not None:
        since = ratings.filter(sealed_at__gt=agreement.sealed_until - LOOK_BACK)
        columns = unpacked(bytes(agreement.columns)).plus(read_columns(since))
        if RatingSet(len(columns), int(columns.key.sum())) == wanted:
            return columns
    return read_columns(ratings)


def _store_figures(agreement: Agreement, columns: Columns, now: datetime) -> int:
    return Agreement.objects.filter(pk=agreement.pk, revision=agreement.revision).update(
        revision=F("revision") + 1,
        columns=columns.packed(),
        ratings=len(columns),
        key_sum=int(columns.key.sum()),
        sealed_until=now,
        figures=study_figures(columns),
        figures_at=now,
    )
