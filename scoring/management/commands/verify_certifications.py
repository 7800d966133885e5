"""Recompute every verdict from the log and say whether the certified set is the same, bit for bit."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.models import Study
from scoring.services.verification import verify_certifications


class Command(BaseCommand):
    help = "Recompute every verdict from the log; prints the hash of the current set and what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--study", help="Public id of a study; without it all of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = None
        if options["study"]:
            study = Study.objects.filter(public_id=options["study"]).first()
            if study is None:
                raise CommandError(f"There is no study {options['study']}.")
        found = verify_certifications(study=study)
        self.stdout.write(f"{found.checked} verdicts in the log, {found.current} of them current")
        self.stdout.write(f"stored      {found.stored}")
        self.stdout.write(f"recomputed  {found.recomputed}")
        for difference in found.differences:
            self.stdout.write(difference)
        if not found.holds:
            raise CommandError(f"The log does not give the same set: {len(found.differences)} differences.")
        self.stdout.write("The same set, bit for bit.")
