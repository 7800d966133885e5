"""The product's web server and a PostgreSQL server on scratch data, as a measurement starts and stops them."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from annotator.runtime.supervisor import read_procfile

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running server: its address or URL, and the process at the root of its tree."""

    address: str
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(var: Path, database_url: str = "") -> dict[str, str]:
    """What every process of the product inherits here: scratch data only, one numeric thread, no debugging."""
    dropped = {"DEBUG", "PRODUCTION", "MEDIA_ROOT", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    given = {"DATABASE_URL": database_url} if database_url else {}
    return kept | given | {"DERMCOT_VAR": str(var), "PATH": path, "OMP_NUM_THREADS": "1", "LOG_LEVEL": "ERROR"}


def run_python(arguments: Sequence[str], env: dict[str, str]) -> str:
    """Run this interpreter in the project's root; returns what it printed. Raises RuntimeError with its errors."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def prepare(env: dict[str, str]) -> None:
    """Tables and compressed static files, as `make run` prepares them."""
    run_python(["manage.py", "migrate", "--verbosity", "0"], env)
    collect = (
        "import django; django.setup(); from django.conf import settings; "
        "from annotator.runtime import static_files; static_files.collect_if_changed(settings.STATIC_ROOT)"
    )
    run_python(["-c", collect], env | {"DJANGO_SETTINGS_MODULE": "annotator.settings"})


@contextmanager
def web_server(env: dict[str, str], port: int | None = None) -> Iterator[Server]:
    """The Procfile's web process on a free port of loopback, its words in `web.log`, ended with its whole group."""
    port = port or free_port()
    with (Path(env["DERMCOT_VAR"]) / "web.log").open("ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", read_procfile(ROOT / "Procfile")["web"]],
            cwd=ROOT,
            env=env | {"HOST": "127.0.0.1", "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_answering(address, process)
        yield Server(address, process.pid)
    finally:
        end_group(process)


def wait_until_answering(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The web server ended with status {process.returncode} before it answered.")
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The web server has not answered at {address} for {START_TIMEOUT_S:.0f} s.")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """TERM, and KILL to the whole group after ten seconds."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def postgresql_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: initdb was not found under /usr/lib/postgresql.")
    return found[-1].parent


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """A fresh cluster with PostgreSQL's own durable defaults; `address` is the URL of its database."""
    binaries, port = postgresql_binaries(), free_port()
    data = folder / "postgresql"
    data.mkdir()
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        folder.chmod(0o711)
        subprocess.run(["chown", "postgres", str(data)], check=True)
        before = ["runuser", "-u", "postgres", "--"]
    else:
        before = []
    quiet = {"cwd": "/", "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run(
        [*before, f"{binaries}/initdb", "-D", data, "-U", "dermcot", "--auth=trust", "--encoding=UTF8"],
        check=True,
        **quiet,  # type: ignore[call-overload]
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories=''"
    control = [*before, f"{binaries}/pg_ctl", "-D", str(data)]
    subprocess.run([*control, "-w", "-l", str(data / "log"), "-o", options, "start"], check=True, **quiet)  # type: ignore[call-overload]
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        yield Server(f"postgresql://dermcot@127.0.0.1:{port}/postgres", pid)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **quiet)  # type: ignore[call-overload]


def password() -> str:
    return secrets.token_urlsafe(12)
