"""Compare every frozen dataset version with what is stored now, image files included."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.models import DatasetVersion
from scoring.services.datasets import verify_dataset


class Command(BaseCommand):
    help = "Compare every frozen dataset version with what is stored now: texts, ratings, records, image files."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = 0
        for dataset in DatasetVersion.objects.select_related("study").order_by("pk"):
            check = verify_dataset(dataset)
            broken += not check.intact
            self.stdout.write(f"{dataset}: {'as frozen' if check.intact else 'differs'}, {check.computed_hash}")
            for problem in check.problems:
                self.stdout.write(f"  {problem}")
        if broken:
            raise CommandError(f"{broken} of the dataset versions are not what was frozen. Restore from a backup.")
