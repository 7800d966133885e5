"""The filtered part of DermCoT: texts that a rule kept and nobody certified, frozen apart from the certified part.

What scored them is not known here: the rule comes as words and a hash, the evidence as plain data.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from scoring.digest import content_hash
from scoring.models import CaseFlag, Certification, DatasetVersion, NarrativeVersion, Split, Study
from scoring.services.audit import record_event
from scoring.services.dataset_rows import create_dataset, create_items
from scoring.services.datasets import FILTERED, subject_record


@transaction.atomic
def freeze_filtered(
    *, study: Study, kept: Mapping[int, dict[str, Any]], rule: str, rule_hash: str, actor: Any
) -> DatasetVersion:
    """The next filtered part. ``kept``: by key of a version of the study's training cases, why it was kept.

    Left out: versions that were not queued in the study, of cases with an open flag, and of narratives that have a
    certified version: those belong to the certified part. Raises ``ValidationError`` where nothing is left, nothing
    changed since the last part by the same rule, or the rule is not named.
    """
    if not rule.strip() or not rule_hash:
        raise ValidationError("A filtered part names the rule that kept its texts.")
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    rows = [
        (version, subject_record(version) | _why(kept[version.pk], locked, rule_hash))
        for version in filterable(locked, kept)
    ]
    if not rows:
        raise ValidationError(
            "The filtered part would be empty: the rule keeps no training text that is not certified already."
        )
    digest = content_hash([record for _, record in rows])
    parts = DatasetVersion.objects.filter(kind=DatasetVersion.Kind.FILTERED)
    previous = parts.filter(study=locked, rule_hash=rule_hash).order_by("-number").first()
    if previous is not None and previous.content_hash == digest:
        raise ValidationError(f"Nothing has changed since {previous}.")
    dataset = create_dataset(
        kind=DatasetVersion.Kind.FILTERED,
        study=locked,
        actor=actor,
        content_hash=digest,
        rule=rule,
        rule_hash=rule_hash,
        item_count=len(rows),
    )
    create_items(dataset=dataset, rows=rows)
    record_event(
        actor=actor,
        action="dataset.frozen",
        subject=dataset,
        detail={"dataset": str(dataset), "items": len(rows), "content_hash": digest, "rule": rule_hash},
    )
    return dataset


def filterable(study: Study, keys: Iterable[int]) -> list[NarrativeVersion]:
    """Those of the versions that may be in a filtered part, ordered by the public ids of case and narrative."""
    certified = Certification.objects.filter(is_current=True, outcome=Certification.Outcome.CERTIFIED)
    flagged = CaseFlag.objects.filter(resolved_at__isnull=True)
    found = NarrativeVersion.objects.filter(
        pk__in=list(keys), assignments__study=study, narrative__case__group__split=Split.TRAINING
    ).distinct()
    found = found.exclude(narrative__in=certified.values("version__narrative"))
    found = found.exclude(narrative__case__in=flagged.values("case"))
    related = found.select_related("narrative__case__source", "narrative__case__group")
    ordered = related.prefetch_related("narrative__case__images")
    return list(ordered.order_by("narrative__case__public_id", "narrative__public_id", "number"))


def _why(evidence: dict[str, Any], study: Study, rule_hash: str) -> dict[str, Any]:
    return {
        "part": FILTERED,
        "rule": rule_hash,
        "evidence": evidence,
        "protocol": study.protocol_hash,
        "ratings": [],
        "adjudicated": False,
    }
