"""Asking for a model to be registered: a worker reads its files, which may take minutes, and makes the row."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from modelhub.ml.hub_files import HubModel
from modelhub.models import ModelVersion, Run
from modelhub.services.runs import create_run


def model_folders() -> list[str]:
    """Names of the folders directly under ``MODEL_ROOT`` that hold a checkpoint's configuration."""
    root = Path(settings.MODEL_ROOT)
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if (folder / "config.json").is_file())


@transaction.atomic
def request_registration(
    *, name: str, folder: str = "", hub_id: str = "", revision: str = "", synthetic: bool = False, actor: Any
) -> Run:
    """Queue a run that reads a folder of ``MODEL_ROOT``, or fetches a model of the hub, and registers it as a base.

    Raises ``ValidationError`` for a name that is taken, no source or two, a folder that is not offered, a bad hub id.
    """
    if ModelVersion.objects.filter(name=name).exists():
        raise ValidationError({"name": f"The name “{name}” belongs to another model. Choose another name."})
    if bool(folder) == bool(hub_id):
        raise ValidationError("Choose a folder on the server or a model of the hub, one of them.")
    if folder and folder not in model_folders():
        raise ValidationError({"folder": f"“{folder}” is not among the folders offered."})
    if hub_id:
        try:
            model = HubModel(hub_id, revision or "main")
        except ValueError as error:
            raise ValidationError({"hub_id": f"{str(error)[:1].upper()}{str(error)[1:]}."}) from error
        source = {"hub": model.id, "revision": model.revision}
    else:
        source = {"folder": folder}
    plan = {"name": name, "source": source, "synthetic": synthetic}
    return create_run(kind=Run.Kind.REGISTRATION, title=f"Register {name}", plan=plan, actor=actor)
