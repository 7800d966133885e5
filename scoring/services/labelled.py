"""Classification versions: a source's evaluation cases with their diagnoses, frozen without any text."""

from collections import defaultdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from scoring.diagnosis import words_of
from scoring.digest import content_hash
from scoring.models import Case, CaseFlag, CaseImage, DatasetVersion, LabelledCase, Source, Split, Study
from scoring.services.audit import record_event
from scoring.services.dataset_rows import BATCH, create_dataset

LABELLED = DatasetVersion.Kind.LABELLED
NAMED = 10


def labelled_cases() -> QuerySet[Case]:
    """The evaluation cases with a diagnosis and a picture and without an open flag."""
    open_flags = CaseFlag.objects.filter(case=OuterRef("pk"), resolved_at__isnull=True)
    pictures = CaseImage.objects.filter(case=OuterRef("pk"))
    found = Case.objects.filter(Exists(pictures), ~Exists(open_flags), group__split=Split.EVALUATION)
    return found.exclude(diagnosis="")


def labelled_sources() -> list[dict[str, Any]]:
    """Every source with such cases: ``source``, ``cases`` and ``classes``; two queries however many there are."""
    counted = (
        labelled_cases()
        .order_by()
        .values_list("source")
        .annotate(cases=Count("pk"), classes=Count("diagnosis", distinct=True))
    )
    figures = {source: (cases, classes) for source, cases, classes in counted}
    sources = Source.objects.filter(pk__in=figures).order_by("name", "pk")
    return [{"source": one, "cases": figures[one.pk][0], "classes": figures[one.pk][1]} for one in sources]


@transaction.atomic
def freeze_labelled(*, study: Study, source: Source, actor: Any) -> DatasetVersion:
    """The next classification version: each such case of ``source`` with its diagnosis as the label.

    ``study`` names the rubric and protocol beside which it stands. Raises ``ValidationError`` where no case is left,
    all have one diagnosis, two labels are one in two spellings, or nothing changed.
    """
    locked = Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
    related = labelled_cases().filter(source=source).select_related("group", "source").prefetch_related("images")
    cases = list(related.order_by("public_id"))
    if not cases:
        raise ValidationError(
            _("“%(source)s” has no evaluation case with a diagnosis and a picture. Import it with such a split.")
            % {"source": source}
        )
    _check_labels(source, sorted({case.diagnosis.strip() for case in cases}))
    rows = [(case, labelled_record(case)) for case in cases]
    digest = content_hash([record for _case, record in rows])
    versions = DatasetVersion.objects.filter(kind=LABELLED)
    if same := versions.filter(content_hash=digest).first():
        raise ValidationError(_("Nothing has changed since %(version)s.") % {"version": same})
    dataset = create_dataset(
        kind=LABELLED,
        study=locked,
        actor=actor,
        content_hash=digest,
        rule=f"Evaluation cases of {source} with their diagnoses as labels.",
        rule_hash=content_hash({"source": str(source.public_id)}),
        item_count=len(rows),
    )
    LabelledCase.objects.bulk_create(
        [
            LabelledCase(dataset=dataset, position=place, case=case, label=record["diagnosis"], record=record)
            for place, (case, record) in enumerate(rows, start=1)
        ],
        batch_size=BATCH,
    )
    detail = {"dataset": str(dataset), "items": len(rows), "content_hash": digest}
    record_event(actor=actor, action="dataset.frozen", subject=dataset, detail=detail)
    return dataset


def labelled_items(dataset: DatasetVersion) -> list[LabelledCase]:
    """What is in a version, in order, with each case's source, patient and pictures."""
    items = dataset.labelled.select_related("case__source", "case__group").prefetch_related("case__images")
    return list(items.order_by("position"))


def labelled_record(case: Case) -> dict[str, Any]:
    """What the content hash covers: case, label, tone, patient's split and pictures."""
    return {
        "case": str(case.public_id),
        "split": case.group.split,
        "diagnosis": case.diagnosis.strip(),
        "diagnosis_basis": case.diagnosis_basis,
        "skin_tone": case.skin_tone or None,
        "skin_tone_scale": case.skin_tone_scale or None,
        "source": case.source.name,
        "images": [{"image": str(image.public_id), "sha256": image.sha256} for image in case.images.all()],
    }


def _check_labels(source: Source, labels: list[str]) -> None:
    if len(labels) < 2:
        raise ValidationError(
            _("All evaluation cases of “%(source)s” are “%(label)s”. A classification needs two classes or more.")
            % {"source": source, "label": labels[0]}
        )
    forms: dict[Any, list[str]] = defaultdict(list)
    for label in labels:
        forms[words_of(label) or label].append(label)
    if twice := [" = ".join(same) for same in forms.values() if len(same) > 1]:
        raise ValidationError(
            _("Some labels of “%(source)s” are one in two spellings: %(labels)s. Give them one and import again.")
            % {"source": source, "labels": "; ".join(twice[:NAMED])}
        )
