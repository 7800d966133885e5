"""Import cases from a folder on this machine."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from scoring.importers import IMPORTERS
from scoring.models import Source
from scoring.services.importing import ImportReport, import_cases
from scoring.services.sources import create_source


class Command(BaseCommand):
    help = "Import cases with their images. What is refused is named with its reason, the rest goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        layouts = " ".join(f"{name}: {importer.layout}" for name, importer in IMPORTERS.items())
        parser.add_argument("path", type=Path, metavar="PATH", help=layouts.replace("%", "%%"))
        parser.add_argument("--format", required=True, choices=list(IMPORTERS))
        parser.add_argument("--source-name", required=True, help="An existing source, or a new one with its rights.")
        parser.add_argument("--licence", help="Needed for a new source.")
        parser.add_argument("--basis", help="Consent or ethics basis. Needed for a new source.")
        parser.add_argument("--redistribute", choices=Source.Redistribute.values, help="Default: reference.")
        parser.add_argument("--may-train", action="store_true", help="Models may train on the source's cases.")
        parser.add_argument("--may-leave-site", action="store_true", help="They may be sent to outside services.")
        parser.add_argument("--evaluation-share", type=float, default=0.2, help="0 to 1; of groups without a split.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["path"].is_dir():
            raise CommandError(f"{options['path']} is not a folder.")
        try:
            source = source_for(options)
            with tqdm(unit="case", disable=options["verbosity"] == 0) as bar:

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                report = import_cases(
                    format=options["format"],
                    path=options["path"],
                    source=source,
                    actor=None,
                    evaluation_share=options["evaluation_share"],
                    progress=show,
                )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.tell(report)

    def tell(self, report: ImportReport) -> None:
        for problem in report.problems:
            self.stdout.write(f"refused  {problem}")
        if report.refused > len(report.problems):
            self.stdout.write(f"… and {report.refused - len(report.problems)} more")
        self.stdout.write(report.sentence)
        if report.refused:
            raise SystemExit(1)


def source_for(options: dict[str, Any]) -> Source:
    """The named source. Rights are stated once, for a new one; they are never changed by an import."""
    rights = ("licence", "basis", "redistribute", "may_train", "may_leave_site")
    given = {name: options[name] for name in rights if options[name]}
    source = Source.objects.filter(name=options["source_name"]).first()
    if source is None:
        if missing := [f"--{name}" for name in ("licence", "basis") if name not in given]:
            raise CommandError(f"“{options['source_name']}” is a new source: state {' and '.join(missing)}.")
        return create_source(name=options["source_name"], actor=None, **given)
    if differing := [name for name, value in given.items() if getattr(source, name) != value]:
        stated = ", ".join("--" + name.replace("_", "-") for name in differing)
        raise CommandError(f"“{source}” exists with another {stated}. Leave these out to keep its rights.")
    return source
