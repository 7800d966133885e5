"""Runs the suite on SQLite with the embedded Valkey, then again on PostgreSQL with a system Redis where both are given.

TEST_DATABASE_URL and TEST_REDIS_URL name the servers. Without them the second round is left out and one line says so;
with CI=true that is a failure.
"""

import os
import subprocess
import sys

# What a page looks like in Chromium, what torch computes and what meets no server is the same in either round.
ONCE = ("-m", "servers and not browser and not one_round", "--ignore=tests/ml")
SECOND_ROUND = ("TEST_DATABASE_URL", "TEST_REDIS_URL")


def run_pytest(title: str, arguments: list[str], settings: dict[str, str]) -> int:
    print(f"== {title}", flush=True)
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        os.environ.get("TEST_PROCESSES", "2"),
        "--dist",
        "worksteal",
        "--durations=25",
        *arguments,
    ]
    return subprocess.run(command, env={**kept, **settings}, check=False, stdin=subprocess.DEVNULL).returncode


def main(arguments: list[str]) -> int:
    missing = [name for name in SECOND_ROUND if not os.environ.get(name)]
    if missing and os.environ.get("CI") == "true":
        print(f"CI must run the suite on PostgreSQL and Redis too: set {' and '.join(missing)}.", file=sys.stderr)
        return 1
    status = run_pytest("SQLite and embedded Valkey", arguments, {})
    if missing:
        print(f"Left out the round on PostgreSQL and a system Redis: {' and '.join(missing)} not set.")
        return status
    servers = {"DATABASE_URL": os.environ["TEST_DATABASE_URL"], "REDIS_URL": os.environ["TEST_REDIS_URL"]}
    return run_pytest("PostgreSQL and system Redis", [*arguments, *ONCE], servers) or status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
