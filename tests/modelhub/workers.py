"""Real worker processes on the test database, to be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

LEASE_S = 3


def database_url() -> str:
    """The test database as a URL."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    user = f"{quote(values['USER'])}:{quote(values['PASSWORD'])}@" if values["USER"] else ""
    return f"postgresql://{user}{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"


class Worker:
    """A process that does one run as a worker does, in its own session."""

    def __init__(self, run_id: int, log: Path) -> None:
        own = {"DATABASE_URL": database_url(), "RUN_LEASE_S": str(LEASE_S), "OMP_NUM_THREADS": "1", "DEBUG": "1"}
        self._log = log.open("a")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run_job", str(run_id)],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "annotator.settings"} | own,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self) -> None:
        """``kill -9`` of the worker alone, as the system does it: what it spawned lives on."""
        assert self.process.poll() is None, Path(self._log.name).read_text()
        self.process.kill()
        self.process.wait()

    def wait(self) -> str:
        """Its exit; the log."""
        self.process.wait(timeout=300)
        log = Path(self._log.name).read_text()
        assert self.process.returncode == 0, log
        return log


def until(condition: Callable[[], bool], *, seconds: float = 200) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)
