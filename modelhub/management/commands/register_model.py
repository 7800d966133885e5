"""Makes a checkpoint folder on this machine a base model that narratives can be asked of."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from modelhub.services.models import register_base


class Command(BaseCommand):
    help = "Register a checkpoint folder (config.json and safetensors) as a base model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the checkpoint's folder; it stays where it is")
        parser.add_argument("--name", required=True, help="how people will know it")
        parser.add_argument("--synthetic", action="store_true", help="it has seen drawn lesions only")

    def handle(self, *args: Any, path: Path, name: str, synthetic: bool, **options: Any) -> None:
        try:
            model = register_base(name=name, path=path, actor=None, synthetic=synthetic)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{model.name} is registered, weights {model.weights_hash}.")
