"""``manage.py run_job ID``: do one run here and now, without Celery, under the same lease protocol."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from modelhub.jobs.base import run_job
from modelhub.models import Run


class Command(BaseCommand):
    help = "Do one run in this process, as a worker would. Does nothing if another worker has it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="the run's key")

    def handle(self, *args: Any, **options: Any) -> None:
        run_job(options["run"])
        run = Run.objects.filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        self.stdout.write(f"{run.get_state_display()}: {run.error or run.message}")
