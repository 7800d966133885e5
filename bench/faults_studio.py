"""The studio as a machine that fails: its web server, one of its processes, its job worker killed and back again."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from annotator.runtime.studio import embedded_valkey
from annotator.runtime.supervisor import read_procfile
from bench.ratings import Place
from bench.reporting import process_tree
from bench.servers import ROOT, Server, end_group, free_port, web_server


@dataclass
class Studio:
    """The Procfile's web and default processes; the web server comes back at the same address."""

    place: Place
    port: int = field(default_factory=free_port)
    web: Server | None = None
    jobs: "subprocess.Popen[bytes] | None" = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.web = self._stack.enter_context(web_server(self.place.env, self.port))

    def stop(self) -> None:
        self._stack.close()
        self.web = None
        if self.jobs is not None:
            end_group(self.jobs)
            self.jobs = None

    def kill(self) -> None:
        """SIGKILL to the web server with all its processes; then it is started anew."""
        assert self.web is not None
        os.killpg(self.web.pid, signal.SIGKILL)
        self._stack.close()
        self.start()

    def kill_web_worker(self, dice: random.Random) -> None:
        """SIGKILL to one of the processes that answer; its parent starts another."""
        assert self.web is not None
        children = [pid for pid in process_tree(self.web.pid) if pid != self.web.pid]
        with suppress(ProcessLookupError):
            os.kill(dice.choice(children), signal.SIGKILL)

    def kill_job_worker(self) -> None:
        """SIGKILL to the worker of jobs with all its processes; then it is started anew."""
        if self.jobs is not None:
            os.killpg(self.jobs.pid, signal.SIGKILL)
            self.jobs.wait()
        self.start_jobs()

    def start_jobs(self) -> None:
        """Returns once the worker is there to be killed, or after a minute."""
        log = Path(self.place.env["DERMCOT_VAR"]) / "jobs.log"
        with log.open("ab") as output:
            self.jobs = subprocess.Popen(
                ["/bin/sh", "-c", read_procfile(ROOT / "Procfile")["default"]],
                cwd=ROOT,
                env=self.place.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        time.sleep(1)
        if self.jobs.poll() is not None:
            raise RuntimeError(f"The job worker ended at once: {log.read_text()[-2000:]}")


@contextmanager
def broker(place: Place) -> Iterator[None]:
    """The embedded broker of this installation, for its job worker."""
    with embedded_valkey(Path(place.env["DERMCOT_VAR"])):
        yield
