"""`manage.py studio`: the whole studio in one terminal; what `make run` starts."""

import contextlib
import io
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError

from annotator.runtime import environment, ports, static_files, studio
from annotator.runtime.supervisor import Supervisor, read_procfile


class Command(BaseCommand):
    help = "Prepares the database, loads the demo if it is empty, and runs web, workers and beat until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        host = os.environ.get("HOST") or "127.0.0.1"
        wanted = environment.whole_number("PORT", 0) or None
        try:
            with studio.only_studio(settings.VAR_DIR), contextlib.ExitStack() as stack:
                port = ports.choose(host, wanted)
                broker = None
                if not os.environ.get("REDIS_URL"):
                    broker = stack.enter_context(studio.embedded_valkey(settings.VAR_DIR))
                prepare()
                status = serve(host, port, {broker.pid} if broker else set())
        except RuntimeError as problem:
            raise CommandError(str(problem)) from problem
        except KeyboardInterrupt:
            raise CommandError("Stopped before the studio was ready.") from None
        self.stdout.write("Stopped. Your data is kept; start again with `make run`.")
        if status:
            sys.exit(status)


def prepare() -> None:
    """Static files, tables and, in an empty database, the demo."""
    print("Preparing static files and the database ...", flush=True)
    if not settings.DEBUG:
        static_files.collect_if_changed(settings.STATIC_ROOT)
    call_command("migrate", interactive=False, verbosity=0)
    if "load_demo" in get_commands() and not settings.PRODUCTION:
        call_command("load_demo", "--if-empty")


def serve(host: str, port: int, also_own: set[int]) -> int:
    """Runs the Procfile until a stop signal; returns the exit status."""
    commands = read_procfile(settings.BASE_DIR / "Procfile")
    supervisor = Supervisor(commands, studio.child_environment(settings.VAR_DIR, host, port))
    supervisor.start()
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
    studio.announce_when_ready(address, f"\nDermCoT Studio is ready: {address}\n{demo_logins()}Ctrl-C stops it.\n")
    return supervisor.run(also_own)


def demo_logins() -> str:
    """The demo's log-ins as the command `demo_logins` prints them, or nothing where there is no demo."""
    if "demo_logins" not in get_commands() or settings.PRODUCTION:
        return ""
    text = io.StringIO()
    call_command("demo_logins", stdout=text)
    return text.getvalue()
