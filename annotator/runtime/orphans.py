"""Grandchildren that outlive their parent, such as a training process whose worker was killed.

On Linux they are handed to the supervisor (a "child subreaper"), which ends them; elsewhere nothing is done.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def adopt() -> None:
    """From now on orphaned descendants become children of this process."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Called in a fresh child: it gets TERM when its parent is killed and can no longer stop it."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def children() -> list[int]:
    """Process ids of this process's children, adopted ones included."""
    found: list[int] = []
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, listing.read_text().split())
    return found


def reap_adopted(own: set[int]) -> None:
    """Collects ended orphans, so that none stays a zombie. `own` are waited for by someone else."""
    for pid in set(children()) - own:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def kill_all(own: set[int]) -> None:
    """Ends every adopted descendant, and those that its death hands over."""
    while remaining := set(children()) - own:
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
