"""Reads a checkpoint's files once, every number of them, and registers it; started again, it begins again."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from modelhub.jobs.base import JobFailed, RunContext
from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.hub_files import HubModel, fetch
from modelhub.services.models import describe_base, store_base

MEGABYTE = 1_000_000


def run(context: RunContext) -> None:
    plan = context.run.plan
    folder, source = find_folder(context, plan["source"])
    total = max(1, sum(path.stat().st_size for path in folder.glob("*.safetensors")) // MEGABYTE)

    def show(done: int) -> None:
        context.check()
        read = min(done // MEGABYTE, total)
        context.progress(read, total, f"Reading {read:,} of {total:,} MB")

    try:
        described = describe_base(folder, on_bytes=show)
    except ValidationError as error:
        raise JobFailed(" ".join(error.messages)) from error
    with context.holding():
        model = store_base(
            name=plan["name"],
            folder=folder,
            described=described,
            actor=context.run.created_by,
            synthetic=plan["synthetic"],
            source=source,
        )
        context.write(plan=plan | {"model": str(model.public_id)})
        context.progress(total, total, f"{model.name} is registered")


def find_folder(context: RunContext, source: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Where the files are, and what the card says about where they came from. Raises ``JobFailed``."""
    if "folder" in source:
        folder = (Path(settings.MODEL_ROOT) / source["folder"]).resolve()
        if not folder.is_dir():
            raise JobFailed(f"The folder “{source['folder']}” is no longer on the server.")
        return folder, {"folder": str(folder)}
    context.progress(0, message=f"Fetching {source['hub']} from the hub")
    try:
        folder, commit = fetch(HubModel(source["hub"], source["revision"]))
    except CheckpointError as error:
        raise JobFailed(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    return folder.resolve(), {"hub": source["hub"], "revision": commit, "asked_for": source["revision"]}
