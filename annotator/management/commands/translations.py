"""`manage.py translations`: after any change of a text, so that no page falls back to English unnoticed."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import to_locale


class Command(BaseCommand):
    help = "Collects the interface's texts into locale/, compiles the catalogues and lists what is not translated."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="do not list the texts without a translation")

    def handle(self, *args: Any, **options: Any) -> None:
        from annotator.languages import catalogue

        try:
            found = catalogue.collect(settings.BASE_DIR)
        except ModuleNotFoundError as error:
            raise CommandError("Install what developers need first: pip install -r requirements-dev.txt") from error
        for language, _ in settings.LANGUAGES:
            path = catalogue.po_file(settings.LOCALE_PATHS[0], to_locale(language))
            if language == settings.LANGUAGE_CODE:
                continue
            if not path.exists():
                raise CommandError(f"Start the language {language} with an empty catalogue: {path}")
            merged = catalogue.merge(found, path)
            path.write_bytes(catalogue.as_po(merged))
            path.with_suffix(".mo").write_bytes(catalogue.as_mo(merged))
            gaps = catalogue.missing(merged)
            self.stdout.write(f"{language}: {len(merged)} texts, {len(gaps)} without a translation")
            if not options["quiet"]:
                self.stdout.write("".join(f"  {gap}\n" for gap in gaps))
