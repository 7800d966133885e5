"""References that came with imported cases: flagged at import, and frozen as a benchmark without those excluded."""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from scoring.digest import content_hash
from scoring.models import (
    CaseFlag,
    DatasetVersion,
    NarrativeVersion,
    ReferenceExclusion,
    ReferenceFlag,
    Source,
    Split,
    Study,
)
from scoring.reference_flags import reference_flags
from scoring.services.audit import record_event
from scoring.services.dataset_rows import BATCH, create_dataset, create_items
from scoring.services.datasets import DERMBENCH, PUBLISHED, subject_record


def flag_reference(version: NarrativeVersion) -> list[ReferenceFlag]:
    """Store what may be wrong with an imported text; asked again it adds nothing."""
    kinds = reference_flags(stated=version.diagnosis, text=version.text, label=version.narrative.case.diagnosis)
    return [ReferenceFlag.objects.get_or_create(version=version, kind=kind)[0] for kind in kinds]


def imported_references(source: Source) -> QuerySet[NarrativeVersion]:
    """The texts that came with the source's evaluation cases, each case's newest."""
    found = NarrativeVersion.objects.filter(
        author_kind=NarrativeVersion.Author.IMPORT,
        narrative__case__source=source,
        narrative__case__group__split=Split.EVALUATION,
    )
    newer = NarrativeVersion.objects.filter(
        author_kind=NarrativeVersion.Author.IMPORT, narrative__case=OuterRef("narrative__case"), pk__gt=OuterRef("pk")
    )
    return found.filter(~Exists(newer))


def exclusions_of(source: Source) -> dict[int, ReferenceExclusion]:
    """By key of a version, its first exclusion from a benchmark of this source."""
    found = ReferenceExclusion.objects.filter(version__narrative__case__source=source)
    return {one.version_id: one for one in found.select_related("version", "excluded_by").order_by("-pk")}


@transaction.atomic
def freeze_references(
    *, study: Study, source: Source, exclude: Collection[NarrativeVersion] = (), reason: str = "", actor: Any
) -> DatasetVersion:
    """The next DermBench version: the source's references as published, without those excluded now or before.

    Nothing is certified by it; ``study`` names the rubric and protocol that its runs are read under. Older versions
    stay as they are; the new one says of every excluded reference what was wrong, why it was left out and by whom.
    Left out as well are cases with an open flag. Raises ``ValidationError`` where an excluded text is not a flagged
    reference of the source, no reason is given, nothing is left, or nothing changed.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    known = exclusions_of(source)
    flags = _checked(source, [version for version in exclude if version.pk not in known], reason)
    left_out = [_kept(one) for one in known.values()]
    left_out += [(version, sorted(kinds), reason.strip(), actor) for version, kinds in flags.items()]
    manifest = sorted(
        [str(version.public_id), list(kinds), words, str(person.public_id)]
        for version, kinds, words, person in left_out
    )
    rows = _rows(source, [version.pk for version, *_ in left_out], locked)
    if not rows:
        raise ValidationError(_("No reference of “%(source)s” is left.") % {"source": source})
    dataset = _store(locked, source, rows, manifest, actor)
    ReferenceExclusion.objects.bulk_create(
        ReferenceExclusion(dataset=dataset, version=version, kinds=kinds, reason=words, excluded_by=person)
        for version, kinds, words, person in left_out
    )
    record_event(
        actor=actor,
        action="dataset.frozen",
        subject=dataset,
        detail={
            "dataset": str(dataset),
            "items": len(rows),
            "content_hash": dataset.content_hash,
            "excluded": manifest,
        },
    )
    return dataset


def _kept(one: ReferenceExclusion) -> tuple[NarrativeVersion, list[str], str, Any]:
    return one.version, list(one.kinds), one.reason, one.excluded_by


def _checked(source: Source, wanted: Iterable[NarrativeVersion], reason: str) -> dict[NarrativeVersion, list[str]]:
    """Each text that is to go with its flags."""
    texts = list(wanted)
    if texts and not reason.strip():
        raise ValidationError({"reason": _("Say why they are left out. The new version keeps it.")})
    kinds: dict[int, list[str]] = {}
    own = set(imported_references(source).filter(pk__in=[text.pk for text in texts]).values_list("pk", flat=True))
    for version, kind in ReferenceFlag.objects.filter(version__in=own).values_list("version_id", "kind"):
        kinds.setdefault(version, []).append(kind)
    others = [text.narrative.case.code for text in texts if text.pk not in kinds]
    if others:
        raise ValidationError(
            _("Only flagged references of “%(source)s” can be excluded; not so: case %(cases)s.")
            % {"source": source, "cases": ", ".join(others[:20])}
        )
    return {text: kinds[text.pk] for text in texts}


def _rows(source: Source, excluded: list[int], study: Study) -> list[tuple[NarrativeVersion, dict[str, Any]]]:
    open_flags = CaseFlag.objects.filter(case=OuterRef("narrative__case"), resolved_at__isnull=True)
    texts = imported_references(source).exclude(pk__in=excluded).filter(~Exists(open_flags))
    related = texts.select_related("narrative__case__source", "narrative__case__group")
    ordered = related.prefetch_related("narrative__case__images").order_by("narrative__case__public_id")
    provenance = {"part": PUBLISHED, "protocol": study.protocol_hash, "ratings": [], "adjudicated": False}
    return [(text, subject_record(text) | provenance) for text in ordered.iterator(chunk_size=BATCH)]


def _store(
    study: Study, source: Source, rows: list[tuple[NarrativeVersion, dict[str, Any]]], manifest: Any, actor: Any
) -> DatasetVersion:
    digest = content_hash([record for _, record in rows])
    versions = DatasetVersion.objects.filter(kind=DERMBENCH)
    rule_hash = content_hash({"source": str(source.public_id), "excluded": manifest})
    if same := versions.filter(content_hash=digest, rule_hash=rule_hash).first():
        raise ValidationError(_("Nothing has changed since %(version)s.") % {"version": same})
    dataset = create_dataset(
        kind=DERMBENCH,
        study=study,
        actor=actor,
        content_hash=digest,
        rule=f"References of {source} as published, certified by nobody here; {len(manifest)} excluded.",
        rule_hash=rule_hash,
        item_count=len(rows),
    )
    create_items(dataset=dataset, rows=rows)
    return dataset
