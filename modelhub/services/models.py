"""Model versions: registering a base, and where a version's files are."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.ml.checkpoint_files import CheckpointError, hash_weights, shard_files
from modelhub.models import ModelVersion
from scoring.services.audit import record_event


@transaction.atomic
def register_base(*, name: str, path: Path | str, actor: Any, synthetic: bool = False) -> ModelVersion:
    """A base model from a checkpoint folder; registered again with the same weights it is the same row.

    Raises ``ValidationError`` for a folder without weights and for a name that other weights have.
    """
    folder = Path(path).resolve()
    try:
        shard_files(folder)
        weights_hash = hash_weights(folder)
    except CheckpointError as error:
        raise ValidationError(f"This folder cannot be registered as a model: {error}.") from error
    named = ModelVersion.objects.filter(name=name).first()
    if named is not None:
        return _same_base(named, weights_hash, folder)
    model = ModelVersion.objects.create(
        name=name,
        kind=ModelVersion.Kind.BASE,
        location=_location(folder),
        weights_hash=weights_hash,
        synthetic=synthetic,
        created_by=actor,
        card={"weights_sha256": weights_hash},
    )
    record_event(actor=actor, action="model.registered", subject=model, detail={"weights": weights_hash})
    return model


def _same_base(model: ModelVersion, weights_hash: str, folder: Path) -> ModelVersion:
    if model.weights_hash != weights_hash or model.kind != ModelVersion.Kind.BASE:
        raise ValidationError(f"The name “{model.name}” belongs to other weights. Choose another name.")
    if model_folder(model) != folder:  # moved, for example to another machine
        model.location = _location(folder)
        model.save(update_fields=["location"])
    return model


def _location(folder: Path) -> str:
    media = Path(settings.MEDIA_ROOT).resolve()
    return str(folder.relative_to(media)) if folder.is_relative_to(media) else str(folder)


def model_folder(model: ModelVersion) -> Path:
    """Where a model version's files are."""
    return (Path(settings.MEDIA_ROOT) / model.location).resolve()


def base_and_adapter(model: ModelVersion) -> tuple[ModelVersion, ModelVersion | None]:
    """The base whose weights are loaded, and the adapter to put on it, if any."""
    if model.kind == ModelVersion.Kind.BASE:
        return model, None
    assert model.base is not None  # a database constraint
    return model.base, model
