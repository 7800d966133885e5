"""Makes a checkpoint folder, or a model of the hub, a base model that narratives can be asked of."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from modelhub.ml.checkpoint_files import CheckpointError
from modelhub.ml.hub_files import HubModel, fetch, parse_source
from modelhub.services.models import register_base


class Command(BaseCommand):
    help = "Register a checkpoint (config.json and safetensors) as a base model, after reading every number of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", help="the checkpoint's folder, which stays where it is, or organisation/model[@revision]"
        )
        parser.add_argument("--name", required=True, help="how people will know it")
        parser.add_argument("--synthetic", action="store_true", help="it has seen drawn lesions only")

    def handle(self, *args: Any, source: str, name: str, synthetic: bool, **options: Any) -> None:
        try:
            folder, origin = locate(source)
            model = register_base(name=name, path=folder, actor=None, synthetic=synthetic, source=origin)
        except CheckpointError as error:
            raise CommandError(f"{error}.") from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{model.name} is registered, weights {model.weights_hash}.")


def locate(source: str) -> tuple[Path, dict[str, Any] | None]:
    """Folder of the files, and what the card says about where they came from where that is the hub."""
    found = parse_source(source)
    if not isinstance(found, HubModel):
        return found, None
    folder, commit = fetch(found)
    return folder, {"hub": found.id, "revision": commit, "asked_for": found.revision}
