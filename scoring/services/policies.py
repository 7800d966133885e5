"""Certification policies: what another one would change, and the change itself, in bulk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from scoring.key_lists import in_parts
from scoring.models import Certification, Dispute, NarrativeVersion, Rating, Study
from scoring.services.audit import record_event
from scoring.services.certification import evidence_of, scores_used
from scoring.services.rated_versions import RatedVersion, rated_versions
from scoring.verdict import INCOMPLETE, Policy, Verdict


@dataclass(frozen=True)
class Change:
    """One version whose outcome would differ; ``before`` may be incomplete."""

    version: int
    before: str
    after: str
    reasons: tuple[Any, ...]


@dataclass(frozen=True)
class Preview:
    """Rated versions by outcome under the policy in force and under ``rule``; ``decided`` by an adjudicator stand."""

    rule: Policy
    now: Counter[str]
    then: Counter[str]
    decided: int
    changes: tuple[Change, ...]


def policy_with(study: Study, thresholds: Mapping[str, float]) -> Policy:
    """The study's policy with other thresholds. Raises ``ValidationError`` for values that do not fit."""
    try:
        return Policy(**{**study.policy.settings, **thresholds, "overlap": study.overlap})
    except (TypeError, ValueError) as error:
        raise ValidationError(str(error)) from error


def preview_policy(*, study: Study, thresholds: Mapping[str, float]) -> Preview:
    """What the study's certifications would be under these thresholds; nothing is written."""
    rule = policy_with(study, thresholds)
    now, then, changes, decided = Counter[str](), Counter[str](), [], 0
    for one, current, verdict in _verdicts(study, rule):
        before = current.outcome if current else INCOMPLETE
        stands = current is not None and current.adjudicator_id is not None
        after = before if stands else verdict.outcome
        now[before] += 1
        then[after] += 1
        decided += stands
        if after != before:
            changes.append(Change(one.version, before, after, verdict.reasons))
    return Preview(rule, now, then, decided, tuple(changes))


@transaction.atomic
def recertify_study(*, study: Study) -> int:
    """Let the study's policy look again at every rated version; how many outcomes changed.

    A verdict whose outcome stays keeps naming the policy under which it was reached; what an adjudicator decided
    stands.
    """
    changed = [
        (one, verdict)
        for one, current, verdict in _verdicts(study, study.policy.rule)
        if verdict.outcome != (current.outcome if current else INCOMPLETE)
        and (current is None or current.adjudicator_id is None)
    ]
    for part in in_parts(changed):
        _replace(study, part)
    record_event(actor=None, action="study.recertified", subject=study, detail={"changed": len(changed)})
    return len(changed)


def _verdicts(study: Study, rule: Policy) -> Iterator[tuple[RatedVersion, Certification | None, Verdict]]:
    current = {
        one.version_id: one
        for one in Certification.objects.filter(study=study, is_current=True).only("version", "outcome", "adjudicator")
    }
    for key, one in sorted(rated_versions(study).items()):
        yield one, current.get(key), one.verdict(rule)


def _replace(study: Study, changed: Sequence[tuple[RatedVersion, Verdict]]) -> None:
    keys = [one.version for one, _ in changed]
    Certification.objects.filter(study=study, version__in=keys, is_current=True).update(is_current=False)
    versions = NarrativeVersion.objects.select_related("narrative__case").in_bulk(keys)
    ratings = Rating.objects.prefetch_related("scores").in_bulk([key for one, _ in changed for key in one.ratings])
    wanted = {public_id for one, _ in changed for public_id in one.disputes}
    disputes = {str(dispute.public_id): dispute for dispute in Dispute.objects.filter(public_id__in=wanted)}
    made, links = [], []
    for one, verdict in changed:
        if verdict.outcome == INCOMPLETE:
            continue
        counted = [ratings[key] for key in one.ratings]
        evidence = evidence_of(verdict, counted, [disputes[key] for key in one.disputes], versions[one.version])
        made.append(
            Certification(
                study=study,
                version_id=one.version,
                policy=study.policy,
                outcome=verdict.outcome,
                scores_used=scores_used(counted),
                evidence=evidence,
            )
        )
        links.append(one.ratings)
    Certification.objects.bulk_create(made)
    through = Certification.ratings.through
    through.objects.bulk_create(
        through(certification_id=certification.pk, rating_id=key)
        for certification, keys in zip(made, links, strict=True)
        for key in keys
    )
