"""Asking for an adapter trained on a DermCoT version."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.models import ModelVersion, Run, Training
from modelhub.services.model_settings import training_settings
from modelhub.services.runs import create_run
from modelhub.services.teachers import check_teacher
from scoring.exporters.items import TRAINING, refusal
from scoring.models import DatasetVersion
from scoring.services.datasets import dataset_items

MOST_NAMED = 20


@transaction.atomic
def request_training(
    *,
    base: ModelVersion,
    dataset: DatasetVersion,
    settings: Mapping[str, Any] | None = None,
    teacher: str = "",
    actor: Any,
) -> Run:
    """Queue the training of an adapter; ``base`` may itself be an adapter, which is then trained further.

    ``teacher``: an image encoder as ``teachers.check_teacher`` allows it; its features of the images are made first.
    Raises ``ValidationError`` for a dataset that is not DermCoT, for cases that may not train (by name), for a bad
    setting and for a teacher that is not offered.
    """
    if base.kind == ModelVersion.Kind.ENDPOINT:
        raise ValidationError(f"“{base.name}” stands on a server and cannot be trained here. Choose another model.")
    if base.card.get("comparison"):
        raise ValidationError(f"“{base.name}” is a comparison model of another architecture. Train SkinGPT-R1's own.")
    complete = training_settings(base, settings)
    check_teacher(teacher, base=base, recipe=complete["recipe"])
    check_dataset(dataset)
    run = create_run(
        kind=Run.Kind.TRAINING,
        title=f"{base.name} on {dataset}",
        plan={
            "base": str(base.public_id),
            "dataset": str(dataset.public_id),
            "settings": complete,
            "teacher": teacher,
        },
        actor=actor,
    )
    Training.objects.create(run=run, base=base, dataset=dataset, settings=complete)
    return run


def check_dataset(dataset: DatasetVersion) -> None:
    """Raises ``ValidationError`` unless training may read every case of the dataset, under the rights of today."""
    if dataset.kind in (DatasetVersion.Kind.DERMBENCH, DatasetVersion.Kind.LABELLED):
        raise ValidationError(
            f"{dataset} holds evaluation cases, which training never reads. Choose a version of DermCoT."
        )
    refused = {}
    for item in dataset_items(dataset):
        case, reason = item.version.narrative.case, refusal(item, TRAINING)
        if reason is not None:
            refused[case.code] = reason
    if refused:
        named = "; ".join(f"case {code}: {reason}" for code, reason in list(refused.items())[:MOST_NAMED])
        more = f"; and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
        raise ValidationError(f"{dataset} may not be trained on: {named}{more}.")
