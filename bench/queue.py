"""`make bench-queue`: fifty raters, two thousand narratives, three ratings each, and everything that goes wrong.

Raters skip, flag, walk off with their lease, post twice at once and again after an answer that was lost; connections
are ended between work and commit, worker processes killed. Then: has every narrative exactly its ratings? Each defence
of the queue has a twin without it; a twin that passes the same check makes the bench fail.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.reporting import conditions, finish, in_words, note, table
from bench.servers import environment, postgresql, postgresql_binaries, run_python

# Each twin and where it must show; a run that merely ran out of time proves nothing.
TWINS = {
    "no conditional update": "handed_twice",
    "no unique constraint": "duplicates",
    "no lease check": "handed_twice",
    "no client uuid": "repeats_refused",
}
TWIN_SECONDS, KILL_EVERY_S = 20.0, 4.0
CHECKED = ("exact", "duplicates", "starved", "handed_twice", "repeats_refused", "errors")
KEPT = (*CHECKED, "ratings", "claims", "claim_p95_ms", "kills", "seconds")


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    found = conditions("django", "psycopg")
    note(in_words(found))
    results: dict[str, dict[str, Any]] = {}
    twins: dict[str, bool] = {}
    for name in options.databases:
        with tempfile.TemporaryDirectory(prefix="dermcot-bench-") as folder, server(name, Path(folder)) as url:
            if url is None:
                note("PostgreSQL is neither installed nor named by TEST_DATABASE_URL: left out.")
                continue
            databases = Databases(url, Path(folder))
            note(f"{name}: {options.raters} raters × {options.narratives} narratives × {options.overlap}")
            results[name] = run(databases, options, raters=options.raters, narratives=options.narratives)
            for twin, sign in TWINS.items():
                without = run(databases, options, raters=8, narratives=10, twin=twin)
                twins[f"{name}, {twin}"] = noticed = without[sign] > 0
                note(f"  {name}, {twin}: {'noticed' if noticed else 'NOT NOTICED'}: {brief(without)}")
            databases.close()
    show(results, twins)
    teeth = bool(twins) and all(twins.values())
    asked = {"raters": options.raters, "narratives": options.narratives, "overlap": options.overlap}
    measured = {name: asked | {key: one[key] for key in (*KEPT, "events")} for name, one in results.items()}
    finish(measured | {"teeth": teeth, "twins": twins, "conditions": found})
    return 0 if teeth and all(one["holds"] for one in results.values()) else 1


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.queue", description=__doc__)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--narratives", type=int, default=2000)
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=540.0, help="the most that one database's main run may take")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    return parser.parse_args(arguments)


def show(results: dict[str, dict[str, Any]], twins: dict[str, bool]) -> None:
    print(table(["database", *KEPT], [[name, *(one[key] for key in KEPT)] for name, one in results.items()]))
    print()
    print(table(["twin", "noticed"], [[twin, "yes" if seen else "NO"] for twin, seen in twins.items()]))


def brief(result: dict[str, Any]) -> str:
    return ", ".join(f"{key} {result[key]}" for key in CHECKED)


def run(
    databases: "Databases", options: argparse.Namespace, *, raters: int, narratives: int, twin: str = ""
) -> dict[str, Any]:
    """One run on a fresh database, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="dermcot-bench-") as folder, databases.fresh() as url:
        plan = {
            "raters": raters,
            "narratives": narratives,
            "overlap": options.overlap,
            "folder": folder,
            "processes": 2 if twin else options.processes,
            "seconds": TWIN_SECONDS if twin else options.seconds,
            "pages": 2 if twin else 1,
            "kill_every_s": 0.0 if twin else KILL_EVERY_S,
            "twin": twin,
        }
        env = environment(Path(folder), url) | {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
        printed = run_python(["-m", "bench.queue_run", json.dumps(plan)], env)
        result: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return result


class Databases:
    """Databases for one run each, copies of one that has the product's tables. `url`: a server's, empty for SQLite."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.made = url, folder, 0
        if url:
            self._on_server("CREATE DATABASE {}", "template")
        run_python(["manage.py", "migrate", "--verbosity", "0"], environment(folder, self._address("template")))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        self.made += 1
        name = f"run{self.made}"
        if self.url:
            self._on_server(f"CREATE DATABASE {{}} TEMPLATE {self._name('template')}", name)
        else:
            self._file(name).write_bytes(self._file("template").read_bytes())
        try:
            yield self._address(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        self._drop("template")

    def _drop(self, name: str) -> None:
        if self.url:
            self._on_server("DROP DATABASE {} WITH (FORCE)", name)
        else:
            self._file(name).unlink()

    def _name(self, name: str) -> str:
        return f"bench_{os.getpid()}_{name}"

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"

    def _address(self, name: str) -> str:
        if self.url:
            return urlsplit(self.url)._replace(path=f"/{self._name(name)}").geturl()
        return f"sqlite:///{self._file(name)}"

    def _on_server(self, statement: str, name: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.format(self._name(name)))


@contextmanager
def server(name: str, folder: Path) -> Iterator[str | None]:
    """A server's URL; empty for SQLite, which needs none; `None` where there is no PostgreSQL."""
    given = os.environ.get("TEST_DATABASE_URL", "")
    if name == "sqlite" or given:
        yield "" if name == "sqlite" else given
    elif not postgresql_is_installed():
        yield None
    else:
        with postgresql(folder) as started:
            yield started.address


def postgresql_is_installed() -> bool:
    try:
        postgresql_binaries()
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
