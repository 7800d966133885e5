"""`manage.py load_demo`: drawings, narratives and simulated colleagues for a first look."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from annotator.accounts.models import User
from annotator.demo import cases, story
from annotator.demo.people import logins_file
from scoring.models import AuditEvent


class Command(BaseCommand):
    help = "Loads the demo (drawn lesions, the tiny model's narratives, simulated colleagues) into an empty database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="do nothing when there are users already")
        parser.add_argument("--training-cases", type=int, default=cases.Size.training)
        parser.add_argument("--evaluation-cases", type=int, default=cases.Size.evaluation)
        parser.add_argument("--seed", type=int, default=42)

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.exists():
            if not options["if_empty"]:
                raise CommandError("The demo needs an empty database. Set DERMCOT_VAR to a new folder.")
            if logins_file().exists() and not AuditEvent.objects.filter(action=story.LOADED).exists():
                raise CommandError(
                    f"The demo was stopped while it was loaded. Remove {settings.VAR_DIR} and start again."
                )
            return
        size = cases.Size(training=options["training_cases"], evaluation=options["evaluation_cases"])
        if size.training < story.WITHOUT_NARRATIVE + story.ONE_SHORT + story.UNRATED or size.evaluation < 1:
            raise CommandError("The demo needs at least 36 training cases and one evaluation case.")
        story.load(size=size, seed=options["seed"], report=self._report)

    def _report(self, part: str) -> None:
        self.stdout.write(f"Loading the demo: {part} ...")
        self.stdout.flush()
