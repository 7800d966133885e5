"""Asking for a dataset version as a file."""

from typing import Any

from django.db import transaction

from modelhub.models import Run
from modelhub.services.runs import create_run
from scoring.models import DatasetVersion


@transaction.atomic
def request_export(*, dataset: DatasetVersion, actor: Any) -> Run:
    """Queue the archive of a dataset; DermBench's has the candidates and scores of its finished runs as well."""
    return create_run(
        kind=Run.Kind.EXPORT,
        title=f"Export of {dataset}",
        plan={"dataset": str(dataset.public_id)},
        actor=actor,
        total=dataset.item_count,
    )
