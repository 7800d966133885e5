"""The trainer in a process group of its own, and a way to know whether one is still alive.

A lock file held open by the trainer, and by nobody else once it runs, tells for certain: the system drops the lock when
the process ends, however it ends. The trainer writes its own process id before it becomes the trainer, so a worker
killed at any moment leaves nothing that the next one could not find and end.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LOCK, PID, LOG = "trainer.lock", "trainer.pid", "trainer.log"
GRACE_S = 10.0
POLL_S = 0.05
# the shell writes the id that the trainer will have, then becomes the trainer
BECOME = 'echo $$ > "$1.draft" && mv "$1.draft" "$1" && shift && exec "$@"'


class TrainerProcess:
    """A started trainer; its output is in ``trainer.log`` of ``folder``."""

    def __init__(self, folder: Path, command: Sequence[str], *, cwd: Path) -> None:
        """End what an earlier worker may have left, then start. Raises ``TimeoutError`` if it cannot be ended."""
        self.folder = folder
        lock = end_orphan(folder)
        try:
            (folder / PID).unlink(missing_ok=True)
            with (folder / LOG).open("w") as log:
                self._process = subprocess.Popen(
                    ["sh", "-c", BECOME, "sh", str(folder / PID), *command],
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[lock],
                )
        finally:
            os.close(lock)  # from here on only the trainer holds it

    def poll(self) -> int | None:
        """Its exit status, ``None`` while it runs; negative: ended by that signal."""
        return self._process.poll()

    def end(self) -> None:
        """TERM to the whole group, then KILL."""
        end_group(self._process.pid, lambda: self._process.poll() is not None)
        self._process.wait()

    def last_words(self) -> str:
        """What the trainer said last, without what frameworks print before it."""
        lines = (self.folder / LOG).read_text(errors="replace").splitlines()
        errors = [line.partition("error: ")[2] for line in lines if line.startswith("error: ")]
        return errors[-1].strip() if errors else ""


def end_orphan(folder: Path) -> int:
    """End a trainer that still holds the folder's lock; the lock, held, as a file descriptor.

    Raises ``TimeoutError`` when one neither names itself nor ends.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + 3 * GRACE_S
    while not _locked(descriptor):
        if time.monotonic() > give_up:
            os.close(descriptor)
            raise TimeoutError(f"a trainer still holds {folder / LOCK}")
        with contextlib.suppress(OSError, ValueError):
            # the file was removed before this holder started, so the id in it is the holder's
            end_group(int((folder / PID).read_text()), lambda: _locked(descriptor))
        time.sleep(POLL_S)
    return descriptor


def end_group(process_id: int, ended: Callable[[], bool]) -> None:
    """TERM, then KILL to a process group, each with its patience, until ``ended`` says so."""
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process_id, number)
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if ended():
                return
            time.sleep(POLL_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
