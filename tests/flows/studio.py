"""A whole studio for a test: `manage.py studio` on scratch data, as `make run` starts it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dj_database_url
import httpx
from django.db.utils import ConnectionHandler

from tests.flows.tables import tables

ROOT = Path(__file__).parents[2]


@dataclass
class Studio:
    """A running studio: its address, log-ins by user name, and a way to run management commands beside it."""

    address: str
    environment: dict[str, str]
    var: Path

    def command(self, *arguments: str) -> str:
        return manage(self.environment, *arguments)

    def password(self, username: str) -> str:
        logins = json.loads((self.var / "demo_logins.json").read_text())
        return str({login["username"]: login["password"] for login in logins}[username])

    def tables(self) -> dict[str, dict[str, Any]]:
        """What its migrations made, as ``tests.flows.tables`` describes it."""
        url = self.environment.get("DATABASE_URL") or f"sqlite:///{self.var / 'db.sqlite3'}"
        with closing(ConnectionHandler({"default": dj_database_url.parse(url)})["default"]) as connection:
            return tables(connection)


def manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@contextmanager
def running_studio(var: Path, *, training: int, evaluation: int) -> Iterator[Studio]:
    """Prepare a scratch database with a demo of this size, start everything, stop everything."""
    with scratch_services() as services:
        environment = (
            os.environ | services | {"DERMCOT_VAR": str(var), "PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
        )
        for name in ("DEBUG", "MEDIA_ROOT", "DJANGO_ALLOW_ASYNC_UNSAFE"):
            environment.pop(name, None)
        manage(environment, "migrate", "--verbosity", "0")
        manage(environment, "load_demo", "--training-cases", str(training), "--evaluation-cases", str(evaluation))
        log = (var / "studio.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "manage.py", "studio"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{environment['PORT']}"
        try:
            wait_until_ready(address, process, var / "studio.log")
            yield Studio(address, environment, var)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                log.close()


def wait_until_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError("The studio did not become ready: " + log.read_text()[-3000:])


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def scratch_services() -> Iterator[dict[str, str]]:
    """A database of its own where the suite runs on PostgreSQL, a Redis database of its own where it has a server."""
    given = os.environ.get("DATABASE_URL", "")
    services: dict[str, str] = {}
    if os.environ.get("REDIS_URL"):
        parts = urlsplit(os.environ["REDIS_URL"])
        services["REDIS_URL"] = urlunsplit(parts._replace(path=f"/{secrets.randbelow(10) + 5}"))
    if not given.startswith("postgres"):
        yield services
        return
    import psycopg
    from psycopg import sql

    name = f"flow_{secrets.token_hex(6)}"
    with psycopg.connect(given, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield services | {"DATABASE_URL": urlunsplit(urlsplit(given)._replace(path=f"/{name}"))}
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
