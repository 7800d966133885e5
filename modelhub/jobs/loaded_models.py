"""The one model that this worker keeps loaded between runs."""

from typing import TYPE_CHECKING, Any

from modelhub.jobs.base import JobFailed
from modelhub.models import ModelVersion
from modelhub.services.models import base_and_adapter, model_folder

if TYPE_CHECKING:
    from modelhub.ml.loading import LoadedModel

_kept: dict[tuple[Any, ...], "LoadedModel"] = {}


def best_device() -> str:
    """``cuda`` where this worker has a card, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_model(model: ModelVersion, bias_mode: str | None) -> "LoadedModel":
    """The model, from memory if it was the last one used. Raises ``JobFailed`` in plain words."""
    from modelhub.ml.checkpoint_files import CheckpointError
    from modelhub.ml.loading import LoadSpec, load

    base, adapter = base_and_adapter(model)
    device = best_device()
    key = (base.weights_hash, adapter.weights_hash if adapter else None, device, bias_mode)
    if key not in _kept:
        release_models()
        spec = LoadSpec(
            model_folder(base),
            adapter=model_folder(adapter) if adapter else None,
            precision="bfloat16" if device == "cuda" else "float32",
            device=device,
            bias_mode=bias_mode,  # type: ignore[arg-type]
        )
        try:
            loaded = load(spec)
        except (CheckpointError, OSError, ValueError) as error:
            raise JobFailed(f"“{model.name}” could not be loaded: {error}.") from error
        check_identity(model, loaded)
        _kept[key] = loaded
    return _kept[key]


def check_identity(model: ModelVersion, loaded: "LoadedModel") -> None:
    """Raises ``JobFailed`` where the files are not the ones that were registered."""
    base, adapter = base_and_adapter(model)
    for registered, found in ((base, loaded.identity.weights_sha256), (adapter, loaded.identity.adapter_sha256)):
        if registered is not None and registered.weights_hash != found:
            raise JobFailed(
                f"The weight files of “{registered.name}” have changed since it was registered. "
                "Put the original files back, or register them under a new name."
            )


def release_models() -> None:
    """Give the memory back, to the card as well."""
    if not _kept:
        return
    import gc

    import torch

    _kept.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
