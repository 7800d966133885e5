"""`manage.py demo_logins`: who can log in to the demo, with the passwords made on its first run."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from annotator.demo.people import logins_file


class Command(BaseCommand):
    help = "Prints the demo's log-ins, or nothing where the demo was not loaded."

    def handle(self, *args: Any, **options: Any) -> None:
        if not logins_file().exists():
            return
        for login in json.loads(logins_file().read_text()):
            self.stdout.write(f"  {login['role']:<15} {login['username']:<12} {login['password']}")
