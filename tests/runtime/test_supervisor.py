"""The supervisor, with real processes: restarts, orderly stops, no orphans."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from annotator.runtime.supervisor import read_procfile

ROOT = Path(__file__).parents[2]
RUN = """
import os, sys
from annotator.runtime import supervisor as module
from annotator.runtime.supervisor import Supervisor
module.STOP_GRACE_S = 600.0  # longer than any test waits
supervisor = Supervisor(COMMANDS, dict(os.environ))
supervisor.start()
sys.exit(supervisor.run(set()))
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, timeout_s: float = 60.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {timeout_s:.0f} s")


@pytest.fixture
def supervise():
    started: list[subprocess.Popen] = []

    def start(**commands: str) -> subprocess.Popen:
        code = RUN.replace("COMMANDS", repr(commands))
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def pid_in(path: Path):
    return wait_for(lambda: path.exists() and path.read_text().strip() and int(path.read_text()))


def test_stop_signal_stops_all_and_leaves_nothing(supervise, tmp_path):
    process = supervise(
        one=f"echo $$ > {tmp_path}/one; exec sleep 300",
        two=f"(setsid sh -c 'echo $$ > {tmp_path}/grandchild; exec sleep 300') & echo $$ > {tmp_path}/two; wait",
    )
    pids = [pid_in(tmp_path / name) for name in ("one", "two", "grandchild")]

    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)

    assert process.returncode == 0
    assert [alive(pid) for pid in pids] == [False, False, False]


def test_process_that_ignores_term_is_killed_at_a_second_signal(supervise, tmp_path):
    process = supervise(deaf=f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.2; done")
    pid = pid_in(tmp_path / "pid")

    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)

    assert not alive(pid)


def test_killed_process_is_started_again(supervise, tmp_path):
    supervise(one=f"echo $$ > {tmp_path}/pid; exec sleep 300")
    first = pid_in(tmp_path / "pid")

    os.kill(first, signal.SIGKILL)

    second = wait_for(lambda: pid_in(tmp_path / "pid") != first and pid_in(tmp_path / "pid"))
    assert alive(second)


def test_process_that_cannot_be_kept_alive_stops_the_studio(supervise, tmp_path):
    process = supervise(good=f"echo $$ > {tmp_path}/pid; exec sleep 300", broken="echo cannot start; exit 3")
    pid = pid_in(tmp_path / "pid")

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "broken | cannot start" in output
    assert "broken ended 5 times within a minute (status 3); stopping." in output
    assert not alive(pid)


def test_processes_end_with_a_killed_supervisor(supervise, tmp_path):
    process = supervise(one=f"echo $$ > {tmp_path}/pid; exec sleep 300")
    pid = pid_in(tmp_path / "pid")

    process.kill()

    wait_for(lambda: not alive(pid))


def test_procfile_names_the_five_processes():
    assert list(read_procfile(ROOT / "Procfile")) == ["web", "clock", "default", "gpu", "beat"]


def test_bad_procfile_line_is_named(tmp_path):
    path = tmp_path / "Procfile"
    path.write_text(
        textwrap.dedent("""\
        web: run
        nonsense
    """)
    )

    with pytest.raises(ValueError, match="line 2"):
        read_procfile(path)
