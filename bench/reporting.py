"""What every bench prints, and how it measures processor time and memory. Standard library only.

Progress goes to stderr; stdout carries the table and, as its last line, one JSON object.
"""

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
UNKNOWN = "–"


def note(text: str) -> None:
    """One line on stderr: what happens now."""
    print(text, file=sys.stderr, flush=True)


def progress(items: Iterable[T], label: str, *, total: int | None = None) -> Iterator[T]:
    """`items` with a bar on stderr: redrawn in a terminal, elsewhere a line every tenth."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    began, shown = time.monotonic(), 0
    for done, item in enumerate(items, 1):
        yield item
        share = done * 10 // total if total else 0
        if sys.stderr.isatty() or share > shown:
            shown = share
            bar = f" {'█' * share}{'·' * (10 - share)}" if total else ""
            line = f"{label}{bar} {done}/{total or '?'} {time.monotonic() - began:.0f} s"
            print(line, file=sys.stderr, end="\r" if sys.stderr.isatty() and done != total else "\n", flush=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table in even columns, numbers to the right; it reads as well in a terminal as in RESULTS.md."""
    words = [[show(cell) for cell in row] for row in rows]
    for row in words:
        if len(row) != len(headers):
            raise ValueError(f"a row of {len(row)} cells under {len(headers)} headers: {row}")
    widths = [max(3, len(head), *(len(row[i]) for row in words)) for i, head in enumerate(headers)]
    right = [bool(rows) and all(_is_figure(row[i]) for row in rows) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True))
    return "\n".join([line(headers), f"|{rule}|", *map(line, words)])


def show(value: object) -> str:
    """Thousands separated, four significant digits; what is unknown is a dash, never 0."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:,.4g}"


def _is_figure(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def finish(result: Mapping[str, Any]) -> None:
    """The last line of stdout."""
    print(json.dumps(result, ensure_ascii=False, allow_nan=False), flush=True)


def conditions(*packages: str, device: str | None = None) -> dict[str, Any]:
    """Date (UTC), device, cores and versions: what a figure means nothing without.

    `device`: the card's name where one was used; else the processor's.
    """
    versions = {"python": platform.python_version()} | {name: _version(name) for name in packages}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device or processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions,
    }


def in_words(found: Mapping[str, Any]) -> str:
    """`conditions` as one line."""
    versions = ", ".join(f"{name} {version or 'absent'}" for name, version in found["versions"].items())
    return f"{found['date']} · {found['device']}, {found['cores']} cores · {versions}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor_name() -> str:
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def process_tree(pid: int | None = None) -> list[int]:
    """`pid` (default: this process) and its living descendants."""
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    tree = [os.getpid() if pid is None else pid]
    for member in tree:
        tree += children.get(member, [])
    return tree


def cpu_seconds(pid: int | None = None) -> float:
    """User and system time so far of a process tree, children that have ended and been waited for included."""
    ticks = 0
    for member in process_tree(pid):
        fields = _stat(member)
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (the state) on; nothing for a process that has gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def peak_rss(pid: int | None = None) -> int:
    """Bytes: the living processes' largest resident sizes so far, added up (they need not fall together)."""
    return sum(_status_bytes(member, "VmHWM") for member in process_tree(pid))


def resident(pid: int | None = None) -> int:
    """Bytes resident now, over the process tree; pages that two processes share count twice."""
    return sum(_status_bytes(member, "VmRSS") for member in process_tree(pid))


def _status_bytes(pid: int, name: str) -> int:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith(name + ":"))
    return 1024 * int(next(found, 0))


def reset_peak_rss() -> bool:
    """Let `peak_rss` of this process start anew; whether the kernel allows it."""
    try:
        (PROC / "self" / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


class Stopwatch:
    """`with Stopwatch() as watch:` then `watch.wall_s`, `watch.cpu_s` (the whole process tree's)."""

    wall_s = 0.0
    cpu_s = 0.0

    def __enter__(self) -> "Stopwatch":
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = cpu_seconds() - self._cpu
