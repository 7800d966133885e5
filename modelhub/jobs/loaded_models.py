"""The one backend that this worker keeps open between runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from modelhub.jobs.base import JobFailed
from modelhub.ml.backends.base import Backend, BackendError, open_backend
from modelhub.models import ModelVersion
from modelhub.services.endpoints import endpoint_spec
from modelhub.services.models import base_and_adapter, model_folder

if TYPE_CHECKING:
    from modelhub.ml.loading import LoadSpec

_kept: dict[tuple[Any, ...], Backend] = {}


def best_device() -> str:
    """``cuda`` where this worker has a card, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def backend_of(model: ModelVersion, bias_mode: str | None) -> Backend:
    """What writes for a model, from memory if it was the last one used. Raises ``JobFailed`` in plain words."""
    if model.kind == ModelVersion.Kind.ENDPOINT:
        return _opened((model.pk, str(model.endpoint)), model, endpoint_spec(model))
    from modelhub.ml.loading import LoadSpec

    base, adapter = base_and_adapter(model)
    device = best_device()
    spec = LoadSpec(
        source=model_folder(base),
        adapter=model_folder(adapter) if adapter else None,
        precision="bfloat16" if device == "cuda" else "float32",
        device=device,
        bias_mode=bias_mode,  # type: ignore[arg-type]
    )
    key = (base.weights_hash, adapter.weights_hash if adapter else None, device, bias_mode)
    return _opened(key, model, spec)


def _opened(key: tuple[Any, ...], model: ModelVersion, spec: "LoadSpec | Any") -> Backend:
    if key not in _kept:
        release_models()
        try:
            backend = open_backend(spec, patch_cache=Path(settings.VAR_DIR) / "pictures")
        except (BackendError, OSError, ValueError) as error:  # CheckpointError is one of them
            raise JobFailed(f"“{model.name}” could not be loaded: {str(error).rstrip('.')}.") from error
        check_identity(model, backend.identity())
        _kept[key] = backend
    return _kept[key]


def check_identity(model: ModelVersion, identity: dict[str, Any]) -> None:
    """Raises ``JobFailed`` where the files are not the ones that were registered."""
    if model.kind == ModelVersion.Kind.ENDPOINT:
        return
    base, adapter = base_and_adapter(model)
    for registered, found in ((base, identity["weights_sha256"]), (adapter, identity["adapter_sha256"])):
        if registered is not None and registered.weights_hash != found:
            raise JobFailed(
                f"The weight files of “{registered.name}” have changed since it was registered. "
                "Put the original files back, or register them under a new name."
            )


def release_models() -> None:
    """Give the memory back, to the card as well."""
    for backend in _kept.values():
        backend.close()
    _kept.clear()
