"""Fills a scratch studio and asks for each of its pages; prints JSON. `bench.scale` starts it as a process."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

TIMES = 5
STAFF, RATER = "staff", "rater"
RATERS_PAGES = ("rating:", "preferences:")


def main(ratings: int, raters: int) -> None:
    django.setup()
    from django.test import Client
    from django.urls import reverse

    from bench.scale_data import fill

    admin, rater, arguments = fill(ratings, raters)
    clients = {STAFF: Client(SERVER_NAME="localhost"), RATER: Client(SERVER_NAME="localhost")}
    clients[STAFF].force_login(admin)
    clients[RATER].force_login(rater)
    pages, left_out = [], []
    for name, takes in names():
        if takes and name not in arguments:
            left_out.append(name)
            continue
        address = reverse(name, args=arguments.get(name, []))
        found = measured(clients[RATER if name.startswith(RATERS_PAGES) else STAFF], address)
        if found is None:
            left_out.append(name)
        else:
            pages.append({"name": name} | found)
    print(json.dumps({"pages": pages, "left_out": left_out}))


def measured(client: Any, address: str) -> dict[str, float] | None:
    """``None`` for what is no page: it answers a POST only, sends a file or leads elsewhere."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    best = float("inf")
    for _ in range(TIMES):
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as asked:
            response = client.get(address)
        best = min(best, 1000 * (time.perf_counter() - began))
        if response.status_code >= 400 and response.status_code != 405:
            raise RuntimeError(f"{address} answered {response.status_code}")
        if response.status_code != 200 or response.streaming or not response["Content-Type"].startswith("text/html"):
            return None
    return {"ms": best, "queries": len(asked), "kb": len(response.content) / 1000}


def names() -> Iterator[tuple[str, bool]]:
    """Every address of the site by name, and whether it takes arguments."""
    from django.urls import URLResolver, get_resolver

    def below(resolver: Any, space: str, takes: bool) -> Iterator[tuple[str, bool]]:
        for entry in resolver.url_patterns:
            needs = takes or "<" in str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from below(entry, f"{space}{entry.namespace}:" if entry.namespace else space, needs)
            else:
                yield f"{space}{entry.name}", needs

    return below(get_resolver(), "", False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
