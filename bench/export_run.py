"""Writes an archive twice as the worker does; prints JSON with what the process held. Started by `bench.export`."""

import gc
import json
import os
import sys
import tempfile
import time

import django

from bench.reporting import peak_rss


def main(public_id: str) -> None:
    django.setup()
    from modelhub.jobs.export import parcel_of

    parcel_of({"dataset": public_id})
    gc.collect()
    idle = peak_rss(os.getpid())
    hashes, seconds, size = [], [], 0
    for _ in range(2):
        began = time.perf_counter()
        with tempfile.TemporaryFile() as stream:
            written = parcel_of({"dataset": public_id}).write(stream)
        seconds.append(time.perf_counter() - began)
        hashes.append(written.sha256)
        size = written.size
    above = (peak_rss(os.getpid()) - idle) / 1e6
    print(json.dumps({"hashes": hashes, "seconds": min(seconds), "mb": size / 1e6, "rss_above_idle_mb": above}))


if __name__ == "__main__":
    main(sys.argv[1])
