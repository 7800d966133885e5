"""Makes a model on an OpenAI-compatible server one that narratives can be asked of."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from modelhub.services.endpoints import endpoint_spec, register_endpoint


class Command(BaseCommand):
    help = (
        "Register a model on an OpenAI-compatible server (vLLM, SGLang, a commercial one). Nothing is sent yet. "
        "The key is read from an environment variable of the worker whenever it is needed and is stored nowhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="what stands before /chat/completions, for example https://api.example.org/v1")
        parser.add_argument("--name", required=True, help="how people here will know it")
        parser.add_argument("--model", required=True, help="the model's name on that server")
        parser.add_argument(
            "--key-variable", default="", metavar="NAME_API_KEY", help="environment variable that holds the key, if any"
        )
        parser.add_argument(
            "--on-site",
            action="store_true",
            help="the server belongs to this site: plain http is allowed, and pictures whose source says that "
            "they must not leave the site may be sent to it",
        )

        parser.add_argument(
            "--family", default="", help="whose kin the model is, such as qwen or gpt: a judge favours its own"
        )

    def handle(
        self,
        *args: Any,
        url: str,
        name: str,
        model: str,
        key_variable: str,
        on_site: bool,
        family: str,
        **options: Any,
    ) -> None:
        try:
            found = register_endpoint(
                name=name,
                url=url,
                served_model=model,
                key_variable=key_variable,
                on_site=on_site,
                family=family,
                actor=None,
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        where = "Pictures leave this site." if endpoint_spec(found).leaves_site else "Pictures stay on this site."
        self.stdout.write(f"{found.name} is registered: {model} at {found.location}. {where}")
