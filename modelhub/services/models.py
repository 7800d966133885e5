"""Model versions: registering a base, and where a version's files are."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.models import ModelVersion, TensorHashes
from scoring.digest import content_hash
from scoring.services.audit import record_event

if TYPE_CHECKING:
    from modelhub.ml.card import Described

LONGEST_LOCATION = 300


def register_base(
    *, name: str, path: Path | str, actor: Any, synthetic: bool = False, source: dict[str, Any] | None = None
) -> ModelVersion:
    """A base model from a checkpoint folder, read here and now; for a web page there is ``request_registration``.

    Raises ``ValidationError`` as ``describe_base`` and ``store_base`` do.
    """
    folder = Path(path).resolve()
    described = describe_base(folder)
    return store_base(name=name, folder=folder, described=described, actor=actor, synthetic=synthetic, source=source)


def describe_base(folder: Path, on_bytes: Callable[[int], None] | None = None) -> "Described":
    """Open and read a checkpoint. Raises ``ValidationError`` in the words that loading would refuse it with."""
    from modelhub.ml.card import describe_checkpoint

    try:
        return describe_checkpoint(folder, on_bytes=on_bytes)
    except CheckpointError as error:
        raise ValidationError(f"This folder cannot be registered as a model: {error}.") from error


@transaction.atomic
def store_base(
    *,
    name: str,
    folder: Path,
    described: "Described",
    actor: Any,
    synthetic: bool = False,
    source: dict[str, Any] | None = None,
) -> ModelVersion:
    """The row of a checkpoint that was read; registered again with the same weights it is the same row, its card new.

    ``source``: where the files came from, as plain data. Raises ``ValidationError`` for a name that other weights have.
    """
    location = _location(folder)
    card = described.card | {"source": source or {"folder": str(folder)}}
    model = ModelVersion.objects.select_for_update().filter(name=name).first()
    if model is not None:
        if model.weights_hash != described.sha256 or model.kind != ModelVersion.Kind.BASE:
            raise ValidationError(f"The name “{name}” belongs to other weights. Choose another name.")
        model.location, model.card = location, card  # moved perhaps, for example to another machine
        model.save(update_fields=["location", "card"])
    else:
        model = ModelVersion.objects.create(
            name=name,
            kind=ModelVersion.Kind.BASE,
            location=location,
            weights_hash=described.sha256,
            synthetic=synthetic,
            created_by=actor,
            card=card,
        )
        record_event(actor=actor, action="model.registered", subject=model, detail={"weights": described.sha256})
    _store_tensors(model, described)
    return model


def _store_tensors(model: ModelVersion, described: "Described") -> None:
    from modelhub.ml.tensor_names import is_branch_key

    tensors = {name: [t.dtype, list(t.shape), t.sha256] for name, t in sorted(described.tensors.items())}
    layout = content_hash({name: facts[1] for name, facts in tensors.items() if not is_branch_key(name)})
    TensorHashes.objects.update_or_create(model=model, defaults={"layout": layout, "tensors": tensors})


def _location(folder: Path) -> str:
    media = Path(settings.MEDIA_ROOT).resolve()
    location = str(folder.relative_to(media)) if folder.is_relative_to(media) else str(folder)
    if len(location) > LONGEST_LOCATION:
        raise ValidationError(f"The folder's path is longer than {LONGEST_LOCATION} characters. Put it elsewhere.")
    return location


def model_folder(model: ModelVersion) -> Path:
    """Where a model version's files are."""
    return (Path(settings.MEDIA_ROOT) / model.location).resolve()


def base_and_adapter(model: ModelVersion) -> tuple[ModelVersion, ModelVersion | None]:
    """The base whose weights are loaded, and the adapter to put on it, if any."""
    if model.kind == ModelVersion.Kind.BASE:
        return model, None
    assert model.base is not None  # a database constraint
    return model.base, model
