"""Asking for a dataset version or a whole study as a file, and the newest file of a study."""

from typing import Any

from django.db import transaction

from modelhub.models import Artifact, Run
from modelhub.services.runs import create_run
from scoring.models import DatasetVersion, Study


@transaction.atomic
def request_export(*, dataset: DatasetVersion, actor: Any) -> Run:
    """Queue the archive of a dataset; a benchmark's has the candidates and scores of its finished runs as well."""
    return create_run(
        kind=Run.Kind.EXPORT,
        title=f"Export of {dataset}",
        plan={"dataset": str(dataset.public_id)},
        actor=actor,
        total=dataset.item_count,
    )


@transaction.atomic
def request_study_export(*, study: Study, actor: Any) -> Run:
    """Queue the ZIP for a co-author: every score, codebook, flow, raters by pseudonym, amendments, checksums."""
    return create_run(kind=Run.Kind.EXPORT, title=f"Data of {study}", plan={"study": str(study.public_id)}, actor=actor)


def newest_study_export(study: Study) -> Artifact | None:
    return (
        Artifact.objects.filter(run__kind=Run.Kind.EXPORT, run__plan__study=str(study.public_id)).order_by("pk").last()
    )
