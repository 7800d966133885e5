"""`make bench-generate`: tokens per second against the way of the public reference, with the tiny model, here.

The reference's way is one request at a time through transformers' `generate`, the processor in line, temperature 0.7
and top-p 0.9. Both write about the same drawings with the same model, settings, token limit and number of torch
threads, in turns; wall time counts, and processor time with the processes that prepare pictures. `--full` asks more and
adds two ways between.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.reporting import conditions, finish, in_words, note, progress, table

if TYPE_CHECKING:
    from bench.generate_ways import Tally, Ways

TINY = Path(__file__).parent.parent / "modelhub" / "ml" / "weights" / "tiny"
REFERENCE, OURS = "one at a time, as the reference", "ours"
HEADERS = ("way", "requests", "tokens", "per text", "tokens/s", "wall s", "CPU-s", "cut off")
ROUNDS, REQUESTS = 3, 24
FULL_ROUNDS, FULL_REQUESTS = 6, 64


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options)
    facts = conditions("torch", "transformers", "pillow") | {"torch_threads": torch.get_num_threads()}
    print(f"\n{in_words(facts)} · {facts['torch_threads']} torch threads each")
    finish(found | {"conditions": facts})
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.generate", description=__doc__)
    made.add_argument("--full", action="store_true", help="more requests, and two ways between the two")
    made.add_argument("--batch-size", type=int, default=32, help="requests at once in our way (default 32)")
    made.add_argument("--max-new-tokens", type=int, default=192, help="of both ways (default 192)")
    made.add_argument("--threads", type=int, help="torch threads of both ways (default: torch's choice)")
    made.add_argument("--seed", type=int, default=42)
    return made


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from bench.generate_ways import Clock, Tally, TimedWorkers, Ways
    from modelhub.ml.backends.base import GenerationSettings
    from modelhub.ml.loading import LoadSpec, load

    rounds, each = (FULL_ROUNDS, FULL_REQUESTS) if options.full else (ROUNDS, REQUESTS)
    note("loading the tiny model, drawing")
    requests = draw_requests(folder, rounds * each, options.seed)
    settings = GenerationSettings(
        max_new_tokens=options.max_new_tokens, seed=options.seed, batch_size=options.batch_size
    )
    ways = Ways(load(LoadSpec(TINY)), settings, TimedWorkers(), Clock(), Clock())
    chosen = {REFERENCE: ways.reference, OURS: ways.ours}
    if options.full:
        chosen |= {"ours, one at a time": ways.ours_one_at_a_time, "in batches by transformers": ways.plain_in_batches}
    tallies = {name: Tally() for name in chosen}
    for way in chosen.values():  # libraries and processes set themselves up
        way(requests[:8], Tally())
    for kept in (ways.reference_clock, ways.our_clock):
        kept.seconds.clear()
    ways.workers.seconds = 0.0
    for turn, name in progress([(turn, name) for turn in range(rounds) for name in chosen], "rounds"):
        chosen[name](requests[turn * each : (turn + 1) * each], tallies[name])
    ways.workers.close()
    print(table(HEADERS, [tally.row(name) for name, tally in tallies.items()]))
    print(f"\n{parts_table(ways, tallies)}")
    return result(ways, tallies)


def draw_requests(folder: Path, count: int, seed: int) -> list[Any]:
    """Drawn lesions in full size (448 × 448, PNG) and the words that the tiny model knows."""
    import numpy as np

    from modelhub.ml.backends.base import Request
    from modelhub.ml.synthetic import drawing, lesion, wording

    rng = np.random.default_rng(seed)
    requests = []
    for number in progress(range(count), "drawing"):
        path = folder / f"{number}.png"
        drawing.draw(lesion.sample(rng), seed + number).save(path)
        requests.append(Request(f"case {number}", (path,), wording.PROMPT))
    return requests


def parts_table(ways: "Ways", tallies: dict[str, "Tally"]) -> str:
    """Seconds per 1,000 tokens, on the way to a text and beside it."""
    from bench.generate_ways import PICTURES

    rows: list[list[object]] = []
    for name, clock in ((REFERENCE, ways.reference_clock), (OURS, ways.our_clock)):
        thousands = tallies[name].tokens / 1000
        rows += [[name, part, seconds / thousands] for part, seconds in clock.seconds.items()]
    beside = ways.workers.seconds / (tallies[OURS].tokens / 1000)
    rows.append([OURS, f"{PICTURES}, in other processes meanwhile", beside])
    return table(("way", "what takes time", "s per 1,000 tokens"), rows)


def result(ways: "Ways", tallies: dict[str, "Tally"]) -> dict[str, Any]:
    from bench.generate_ways import PICTURES, WAITING

    ours, reference = tallies[OURS], tallies[REFERENCE]
    speed, before = ours.tokens / ours.wall_s, reference.tokens / reference.wall_s
    return {
        "tokens_per_s_ratio": round(speed / before, 2),
        "tokens_per_s": round(speed, 1),
        "baseline_tokens_per_s": round(before, 1),
        "tokens_per_cpu_s_ratio": round(ours.tokens / ours.cpu_s / (reference.tokens / reference.cpu_s), 2),
        "picture_seconds": {
            "baseline_in_line": round(ways.reference_clock.seconds[PICTURES], 3),
            "in_other_processes": round(ways.workers.seconds, 3),
            "waited_for": round(ways.our_clock.seconds[WAITING], 3),
        },
        "ways": {name: {key: round(value, 3) for key, value in vars(tally).items()} for name, tally in tallies.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
