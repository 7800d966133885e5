"""Whether the log gives the certified set again, bit for bit."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from scoring.digest import canonical_json, content_hash
from scoring.models import Certification, Study
from scoring.services.certification import recompute
from scoring.services.rated_versions import RatedVersion, rated_versions
from scoring.verdict import INCOMPLETE, Verdict


@dataclass(frozen=True)
class Verification:
    """``checked`` verdicts of the log, ``stored`` and ``recomputed``: hashes of the set as kept and as found again."""

    checked: int
    current: int
    stored: str
    recomputed: str
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.differences and self.stored == self.recomputed


def verify_certifications(*, study: Study | None = None) -> Verification:
    """Every verdict again from what it rests on, and the current set again from the ratings; of one study or all."""
    studies = Study.objects.filter(pk=study.pk) if study else Study.objects.all()
    checked = 0
    differences: list[str] = []
    for certification in Certification.objects.filter(study__in=studies).order_by("pk").iterator(chunk_size=500):
        checked += 1
        differences += _own_differences(certification)
    stored, found = [], []
    for one in studies.select_related("policy").order_by("pk"):
        kept, again = _current_set(one)
        stored += kept
        found += again
        differences += _set_differences(kept, again)
    return Verification(checked, len(stored), content_hash(stored), content_hash(found), tuple(differences))


def _own_differences(certification: Certification) -> Iterator[str]:
    """What of one verdict its own policy, ratings and text do not give again."""
    verdict, evidence, name = recompute(certification), certification.evidence, certification.public_id
    if certification.adjudicator_id is None and verdict.outcome != certification.outcome:
        yield f"verdict {name}: stored {certification.outcome}, the rule gives {verdict.outcome}"
    if canonical_json(_reached(verdict)) != canonical_json({key: evidence[key] for key in ("means", "reasons")}):
        yield f"verdict {name}: its means or reasons are others"
    if evidence["version_sha256"] != certification.version.sha256:
        yield f"verdict {name}: the text is another than the one that was rated"


def _reached(verdict: Verdict) -> dict[str, Any]:
    return {"means": dict(verdict.means), "reasons": [asdict(reason) for reason in verdict.reasons]}


def _current_set(study: Study) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The current verdicts as stored, and as the ratings of today give them; rows in the order of their versions."""
    rows = Certification.objects.filter(study=study, is_current=True).select_related("policy", "version")
    current = {row.version_id: row for row in rows.prefetch_related("ratings")}
    rated = rated_versions(study)
    stored, found = [], []
    for key in sorted({*current, *rated}):
        row, one = current.get(key), rated.get(key)
        if row is not None:
            stored.append(_entry(row, row.outcome, row.evidence["means"], _rating_keys(row)))
        if row is not None and _stands(row, one):
            found.append(_entry(row, row.outcome, dict(recompute(row).means), _rating_keys(row)))
        elif one is not None:
            verdict = one.verdict(row.policy.rule if row else study.policy.rule)
            if verdict.outcome != INCOMPLETE:
                found.append(_entry(row, verdict.outcome, dict(verdict.means), sorted(one.ratings)))
    return stored, found


def _stands(row: Certification, one: RatedVersion | None) -> bool:
    """An adjudicator's decision does, until a rating or a dispute comes in that it did not see."""
    if row.adjudicator_id is None:
        return False
    seen = {entry["dispute"] for entry in row.evidence["disputes"]}
    return one is None or ({*one.ratings} <= {*_rating_keys(row)} and {*one.disputes} <= seen)


def _rating_keys(row: Certification) -> list[int]:
    return sorted(rating.pk for rating in row.ratings.all())


def _entry(row: Certification | None, outcome: str, means: dict[str, Any], ratings: list[int]) -> dict[str, Any]:
    return {
        "version": str(row.version.public_id) if row else None,
        "sha256": row.version.sha256 if row else None,
        "policy": row.policy.content_hash if row else None,
        "outcome": outcome,
        "means": means,
        "ratings": ratings,
    }


def _set_differences(stored: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    kept = {row["version"]: row for row in stored}
    for row in found:
        before = kept.pop(row["version"], None)
        if before is None:
            yield f"a version with ratings {row['ratings']} has no verdict; the rule gives {row['outcome']}"
        elif before != row:
            names = ", ".join(key for key in row if row[key] != before[key])
            yield f"version {row['version']}: {names} are others than stored"
    for version in kept:
        yield f"version {version}: stored, but its ratings give no verdict"
