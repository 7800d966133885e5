"""Keeps the studio's processes running: starts them, prefixes their output, restarts one that dies, stops them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from annotator.runtime import orphans

STOP_GRACE_S = 10.0
RESTART_LIMIT = 5
RESTART_WINDOW_S = 60.0


def read_procfile(path: Path) -> dict[str, str]:
    """Shell commands by process name. Raises ValueError naming a line that is not `name: command`."""
    commands = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, separator, command = line.partition(":")
        if not separator or not command.strip():
            raise ValueError(f"{path.name} line {number} is not `name: command`.")
        commands[name.strip()] = command.strip()
    return commands


@dataclass
class Child:
    """One line of the Procfile and the process that runs it now."""

    name: str
    command: str
    width: int
    environment: dict[str, str]
    process: "subprocess.Popen[str] | None" = None
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTART_LIMIT))

    def start(self) -> None:
        self.starts.append(time.monotonic())
        # A session of its own: the terminal's Ctrl-C reaches the supervisor only, which then stops all in order.
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", self.command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=orphans.end_with_parent,
        )
        threading.Thread(target=self._relay, args=(self.process,), daemon=True).start()

    def _relay(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(f"{self.name:{self.width}} | {line}")
            sys.stdout.flush()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def restarts_too_often(self) -> bool:
        return len(self.starts) == RESTART_LIMIT and time.monotonic() - self.starts[0] < RESTART_WINDOW_S

    def signal(self, number: signal.Signals) -> None:
        """To the process alone for TERM (it tells its own children), to its whole group for KILL."""
        if self.process is None:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.is_running:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass


class Supervisor:
    """Runs the commands until a stop signal, or until one of them cannot be kept alive."""

    def __init__(self, commands: dict[str, str], environment: dict[str, str]) -> None:
        width = max(map(len, commands))
        self.children = [Child(name, command, width, environment) for name, command in commands.items()]
        self.stop_signals = 0

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_signals += 1

    def start(self) -> None:
        orphans.adopt()
        signal.signal(signal.SIGINT, self.request_stop)
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGHUP, self.request_stop)
        for child in self.children:
            child.start()

    def run(self, also_own: set[int]) -> int:
        """Watches until asked to stop; returns the exit status. `also_own`: children that someone else waits for."""
        try:
            while not self.stop_signals:
                for child in self.children:
                    if not child.is_running and not self._restart(child):
                        return 1
                orphans.reap_adopted(self._own() | also_own)
                time.sleep(0.2)
            return 0
        finally:
            self.stop(also_own)

    def _restart(self, child: Child) -> bool:
        status = child.process.returncode if child.process else None
        child.signal(signal.SIGKILL)
        if child.restarts_too_often:
            print(f"{child.name} ended {RESTART_LIMIT} times within a minute (status {status}); stopping.", flush=True)
            return False
        print(f"{child.name} ended with status {status}; starting it again.", flush=True)
        child.start()
        return True

    def stop(self, also_own: set[int]) -> None:
        """TERM to all, KILL after the grace period or at a second Ctrl-C; then their orphans."""
        already = self.stop_signals
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        while any(child.is_running for child in self.children):
            if time.monotonic() > deadline or self.stop_signals > max(already, 1):
                break
            time.sleep(0.05)
        for child in self.children:
            child.signal(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()
        orphans.kill_all(also_own)

    def _own(self) -> set[int]:
        return {child.process.pid for child in self.children if child.process is not None}
