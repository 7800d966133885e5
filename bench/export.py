"""Exporting a data set: what the worker holds in memory, whether twice gives the same bytes, and whether pages wait.

    make bench-export                       about a minute
    make bench-export ARGS="--cases 500"

A DermCoT version with a picture of about 80 kB per case is written twice, as the worker writes it, while a web server
answers a page again and again.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bench.reporting import conditions, finish, in_words, note, table
from bench.servers import environment, prepare, run_python, web_server

PAGE = "/hub/dermcot/"


class Visitor(threading.Thread):
    """Asks for a page until told to stop; `taken` in milliseconds."""

    def __init__(self, address: str, session: str) -> None:
        super().__init__(daemon=True)
        self.request = urllib.request.Request(address, headers={"Cookie": f"sessionid={session}"})
        self.taken: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            began = time.perf_counter()
            with urllib.request.urlopen(self.request, timeout=60) as answer:
                answer.read()
                if answer.url != self.request.full_url:
                    raise RuntimeError(f"{self.request.full_url} led to {answer.url}")
            self.taken.append(1000 * (time.perf_counter() - began))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3_000)
    parser.add_argument("--raters", type=int, default=20)
    options = parser.parse_args(arguments)
    found = conditions("django")
    note(in_words(found))
    with tempfile.TemporaryDirectory(prefix="dermcot-bench-") as folder:
        env = environment(Path(folder)) | {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
        prepare(env)
        note(f"{options.cases:,} cases with certified texts …")
        filled = json.loads(run_python(["-m", "bench.export_data", str(options.cases), str(options.raters)], env))
        with web_server(env) as server:
            visitor = Visitor(server.address + PAGE, filled["session"])
            visitor.start()
            time.sleep(2)
            alone = list(visitor.taken)
            note("writing the archive twice …")
            measured = json.loads(run_python(["-m", "bench.export_run", filled["dataset"]], env))
            visitor.done.set()
            visitor.join()
    beside = visitor.taken[len(alone) :]
    result = {
        "cases": filled["cases"],
        "rss_above_idle_mb": measured["rss_above_idle_mb"],
        "identical": measured["hashes"][0] == measured["hashes"][1],
        "slowest_request_ms": max(beside),
        "requests": len(beside),
        "slowest_request_before_ms": max(alone),
        "seconds": measured["seconds"],
        "archive_mb": measured["mb"],
        "conditions": found,
    }
    print(table(["measured", "value"], [[name, value] for name, value in result.items() if name != "conditions"]))
    finish(result)
    return 0 if result["identical"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
