"""One studio on one machine: lock, broker, tables, demo, then all processes under the supervisor."""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from annotator.runtime import orphans, secrets, valkey

WEB_START_TIMEOUT_S = 60.0


@contextlib.contextmanager
def only_studio(var_dir: Path) -> Iterator[None]:
    """Holds the folder's lock. Raises RuntimeError when another studio runs on the same data."""
    var_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (var_dir / "studio.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"A studio is already running on {var_dir}. Stop it, or set DERMCOT_VAR to another folder."
            ) from None
        yield


@contextlib.contextmanager
def embedded_valkey(var_dir: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A running server for the installation. Stopped with TERM at the end, so that its file is complete."""
    password = secrets.load_or_create(var_dir)["valkey_password"]
    url = valkey.broker_url(var_dir, password)
    if valkey.answers(url):
        valkey.shut_down(url)  # left by a studio that was killed
    process = subprocess.Popen(
        valkey.server_command(var_dir, password),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=orphans.end_with_parent,
    )
    try:
        valkey.wait_until_answering(url, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def child_environment(var_dir: Path, host: str, port: int) -> dict[str, str]:
    """What every process inherits: this interpreter's commands first, and no more threads than the machine bears."""
    binaries = Path(sys.executable).parent
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    return {
        "OMP_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "DERMCOT_VAR": str(var_dir),
        "HOST": host,
        "PORT": str(port),
    }


def announce_when_ready(address: str, notice: str) -> None:
    """Prints the notice once the web server answers; in a thread, because the supervisor must watch meanwhile."""
    threading.Thread(target=_announce, args=(address, notice), daemon=True).start()


def _announce(address: str, notice: str) -> None:
    deadline = time.monotonic() + WEB_START_TIMEOUT_S
    while time.monotonic() < deadline:
        if _web_answers(address):
            print(notice, flush=True)
            return
        time.sleep(0.2)
    print(f"The web server has not answered at {address} for {WEB_START_TIMEOUT_S:.0f} s; see its messages above.")


def _web_answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except urllib.error.HTTPError as refused:
        return refused.code < 500
    except OSError:
        return False
