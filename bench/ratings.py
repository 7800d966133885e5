"""`make bench-ratings`: how many ratings a second, and what each costs.

One rating: next case, its text, its image of at least 80,000 bytes, six scores submitted; without thinking
time. 1,000 narratives of about 1,900 characters, overlap 2, on SQLite and on PostgreSQL, the web process as
the Procfile starts it. Processor time is that of the web and database processes, without these raters'.
`--url` with `--adapter` and `--login user:password` sends the same raters to another server.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.raters import ADAPTERS, Adapter, Tally, rate_until_reached
from bench.reporting import conditions, cpu_seconds, finish, in_words, note, table
from bench.servers import environment, password, postgresql, prepare, run_python, web_server

SESSIONS = (1, 8, 32)
TASKS = 1_000
OVERLAP = 2
WARM_UP = 12  # ratings before the clock starts
HEADERS = ("database", "raters", "ratings/s", "CPU-ms", "next p50", "next p95", "submit p95", "over", "lost", "errors")


@dataclass(frozen=True)
class Place:
    """A seeded installation: its environment, its database's process, the passwords and facts of its data."""

    env: dict[str, str]
    database_pid: int | None
    password: str
    facts: dict[str, Any]


@contextmanager
def seeded(database: str, sessions: tuple[int, ...], tasks: int = TASKS) -> Iterator[Place]:
    """A scratch installation with one study for each number of raters, all over the same narratives."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        server = stack.enter_context(postgresql(folder)) if database == "postgresql" else None
        env = environment(folder / "var", server.address if server else "")
        prepare(env)
        secret = password()
        studies = {study_title(count): names(count) for count in sessions}
        plan = {"tasks": tasks, "overlap": OVERLAP, "studies": studies, "password": secret}
        facts = json.loads(data(env, "seed", json.dumps(plan)))
        yield Place(env, server.pid if server else None, secret, facts)


def data(env: dict[str, str], command: str, argument: str) -> str:
    settings = {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
    return run_python(["-m", "bench.rating_data", command, argument], env | settings)


def study_title(count: int) -> str:
    return f"{count} raters"


def names(count: int) -> list[str]:
    return [f"rater{count}-{number}" for number in range(count)]


def measure(place: Place, count: int, target: int, adapter: str) -> dict[str, Any]:
    """One cell on a freshly started web server, so that none inherits another's warmth."""
    with web_server(place.env) as web:
        raters = [ADAPTERS[adapter](web.address, name, place.password) for name in names(count)]
        pids = [pid for pid in (web.pid, place.database_pid) if pid is not None]
        cell = loop(raters, target, pids)
    found = json.loads(data(place.env, "audit", study_title(count)))
    rated = {UUID(key) for key in found["rated"]}
    told = [UUID(next(part for part in key.split("/") if len(part) == 36)) for key in cell.pop("acknowledged")]
    cell["lost"] = len([key for key in told if key not in rated]) + found["incomplete"]
    cell["over_assigned"] = found["over_assigned"] + found["duplicates"]
    return cell | {"image_bytes": place.facts["image_bytes"], "tasks": place.facts["tasks"]}


def loop(raters: list[Adapter], target: int, pids: list[int]) -> dict[str, Any]:
    """Log in and warm up unmeasured, then rate; without ``pids`` the processor time is unknown."""
    for rater in raters:
        rater.log_in()
    rate_until_reached(raters, Tally(max(WARM_UP, len(raters))))
    tally = Tally(target)
    before = sum(map(cpu_seconds, pids))
    seconds = rate_until_reached(raters, tally)
    used = sum(map(cpu_seconds, pids)) - before
    done = len(tally.acknowledged)
    for problem in sorted(set(tally.errors))[:5]:
        note(f"  {problem}")
    return {
        "ratings_per_s": round(done / seconds, 2),
        "cpu_ms_per_rating": round(1000 * used / done, 2) if pids and done else None,
        "next_p50_ms": round(percentile(tally.next_ms, 50), 1),
        "next_p95_ms": round(percentile(tally.next_ms, 95), 1),
        "submit_p95_ms": round(percentile(tally.submit_ms, 95), 1),
        "over_assigned": None,
        "lost": None,
        "errors": len(tally.errors),
        "ratings": done,
        "image_bytes": min(tally.image_bytes, default=None),
        "tasks": None,
        "acknowledged": tally.acknowledged,
    }


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1] if len(values) > 1 else float("nan")


def row(name: str, sessions: int, cell: dict[str, Any]) -> list[object]:
    keys = ("ratings_per_s", "cpu_ms_per_rating", "next_p50_ms", "next_p95_ms", "submit_p95_ms")
    return [name, sessions, *(cell[key] for key in (*keys, "over_assigned", "lost", "errors"))]


def elsewhere(options: argparse.Namespace) -> dict[str, Any]:
    """The same raters against ``--url``: the server's own processes and tables are out of reach, so unknown."""
    logins = [login.partition(":") for login in options.login]
    raters = [ADAPTERS[options.adapter](options.url, name, secret) for name, _, secret in logins]
    cell = loop(raters, options.ratings, [])
    del cell["acknowledged"]
    return {options.url: {str(len(raters)): cell}}


def here(options: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for database in options.databases:
        note(f"{database}: seeding {TASKS:,} narratives with their images …")
        with seeded(database, tuple(options.sessions)) as place:
            cells = result[database] = {}
            for count in options.sessions:
                note(f"{database}: {options.ratings} ratings by {count} at once …")
                cells[str(count)] = measure(place, count, options.ratings, options.adapter)
                note(f"  {json.dumps(cells[str(count)])}")
    return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--sessions", nargs="+", type=int, default=list(SESSIONS), help="raters at once")
    parser.add_argument("--ratings", type=int, default=320, help="ratings in each cell")
    parser.add_argument("--full", action="store_true", help="1,200 ratings in each cell")
    parser.add_argument("--adapter", choices=sorted(ADAPTERS), default=next(iter(ADAPTERS)))
    parser.add_argument("--url", help="another server instead of this product")
    parser.add_argument("--login", nargs="+", default=[], metavar="USER:PASSWORD", help="its raters, with --url")
    options = parser.parse_args()
    if bool(options.url) != bool(options.login):
        parser.error("--url needs --login, and --login needs --url.")
    options.ratings = 1_200 if options.full else options.ratings
    return options


def main() -> None:
    options = arguments()
    result = elsewhere(options) if options.url else here(options)
    rows = [row(name, int(count), cell) for name, cells in result.items() for count, cell in cells.items()]
    print(in_words(conditions("Django", "gunicorn", "psycopg")))
    print(table(HEADERS, rows))
    finish(result)


if __name__ == "__main__":
    main()
