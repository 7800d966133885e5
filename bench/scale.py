"""Every page at the size of a year's work: how long it takes and how many statements it asks.

    make bench-scale                        about a minute; SQLite
    make bench-scale ARGS="--postgresql"    where PostgreSQL is installed

20,000 ratings of 6,666 narratives by 20 raters with their verdicts, figures, a frozen DermCoT version, a leaderboard of
14 models and 2,000 runs. Each page is asked for five times through all of Django, the best time counts; what is
no page, and pages whose object this studio has none of, are named apart.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.reporting import conditions, finish, in_words, note, table
from bench.servers import environment, postgresql, prepare, run_python

SHOWN = 12


@dataclass(frozen=True)
class Page:
    """``ms``: the best of several; ``queries``: of the last."""

    name: str
    ms: float
    queries: int
    kb: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=20_000)
    parser.add_argument("--raters", type=int, default=20)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args(arguments)
    found = conditions("django", "psycopg")
    note(in_words(found))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dermcot-bench-")))
        url = stack.enter_context(postgresql(folder)).address if options.postgresql else ""
        env = environment(folder, url) | {"DJANGO_SETTINGS_MODULE": "annotator.settings", "LOG_LEVEL": "CRITICAL"}
        prepare(env)
        note(f"{options.ratings:,} ratings, their verdicts and figures, then every page …")
        measured = json.loads(run_python(["-m", "bench.scale_pages", str(options.ratings), str(options.raters)], env))
    pages = sorted((Page(**one) for one in measured["pages"]), key=lambda page: -page.ms)
    rows = [[page.name, page.ms, page.queries, page.kb] for page in pages[:SHOWN]]
    print(table(["slowest pages", "ms", "statements", "kB"], rows))
    note(f"Left out, no page or none of this studio: {', '.join(measured['left_out'])}.")
    finish(
        {
            "slowest_page_ms": pages[0].ms,
            "slowest_page": pages[0].name,
            "most_queries": max(page.queries for page in pages),
            "pages": len(pages),
            "left_out": len(measured["left_out"]),
            "ratings": options.ratings,
            "database": "postgresql" if options.postgresql else "sqlite",
            "conditions": found,
        }
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
