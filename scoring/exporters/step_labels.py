"""Raters' marks as labels of single steps: for the released texts and for the drafts they were made from."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from scoring.exporters.items import RELEASE, permitted
from scoring.exporters.messages import json_line
from scoring.key_lists import in_parts
from scoring.models import Assignment, DatasetItem, DatasetVersion, Mark, NarrativeVersion
from scoring.pseudonym import pseudonym


def step_label_lines(dataset: DatasetVersion) -> Iterator[bytes]:
    """One line per marked version of each released narrative, oldest first, as things stood at the freeze.

    ``steps``: number from 1, kind, ``start`` and ``end`` (half-open code points into ``text``) and ``labels``: verdict,
    error type, severity, dimension, span (code points into ``text``), point (shares of the image's width and
    height), the rater's pseudonym and whether she knew the reference. Notes are left out: free text can name people.
    """
    for items in in_parts(permitted(dataset, RELEASE, [])):
        marks: dict[int, list[Mark]] = defaultdict(list)
        for mark in _marks(dataset, [item.version.narrative_id for item in items]):
            marks[mark.rating.version_id].append(mark)
        versions: dict[int, list[NarrativeVersion]] = defaultdict(list)
        for keys in in_parts(marks):
            for version in NarrativeVersion.objects.filter(pk__in=keys):
                versions[version.narrative_id].append(version)
        for item in items:
            for version in sorted(versions[item.version.narrative_id], key=lambda one: one.number):
                yield json_line(step_label_record(dataset, item, version, marks[version.pk])).encode()


def step_label_record(
    dataset: DatasetVersion, item: DatasetItem, version: NarrativeVersion, marks: list[Mark]
) -> dict[str, Any]:
    by_step: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for mark in marks:
        rater = pseudonym(dataset.study.public_id, mark.rating.rater.public_id)
        label = {key: value for key, value in mark.label().items() if key != "step"}
        by_step[mark.step].append({"rater": rater, "informed": mark.rating.informed, **label})
    return {
        "case": item.record["case"],
        "version": str(version.public_id),
        "number": version.number,
        "released": version.pk == item.version_id,
        "text": version.text,
        "steps": [
            {"number": number, "kind": step.kind, "start": step.start, "end": step.end, "labels": by_step[number]}
            for number, step in enumerate(version.step_list(), start=1)
        ],
    }


def _marks(dataset: DatasetVersion, narratives: list[int]) -> Iterator[Mark]:
    """Marks of ratings that were each rater's last word about any version of the narratives at the freeze."""
    frozen = dataset.created_at
    marks = Mark.objects.filter(
        rating__version__narrative__in=narratives,
        rating__study=dataset.study_id,
        rating__purpose=Assignment.Purpose.LIVE,
        rating__created_at__lte=frozen,
    ).exclude(rating__superseded_by__created_at__lte=frozen)
    return iter(marks.select_related("rating__rater", "image").order_by("rating__public_id", "step"))
