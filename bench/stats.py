"""Statistics of leaderboards: speed of all paired comparisons and of the page, coverage, other packages.

    make bench-stats                        about two minutes
    make bench-stats ARGS="--simulations 200"

91 pairs of 14 models over 3,000 cases are compared with 10,000 resamples each. Coverage is the share of simulated
studies whose 95 % interval holds the truth, which is known because it was simulated.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from bench.reporting import Stopwatch, conditions, finish, in_words, note, progress, table
from bench.servers import environment, prepare, run_python
from bench.stats_coverage import coverage_of_alpha
from bench.stats_oracles import largest_differences
from bench.stats_page import made_scores
from bench.stats_simulation import Setting, coverage, covers_difference, covers_human_mean, covers_mean
from scoring.resampling import paired_differences

MODELS, CASES, RESAMPLES = 14, 3_000, 10_000
GOAL = (0.93, 0.97)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    found = conditions("numpy", "scipy", "statsmodels", "evalica")
    note(in_words(found))
    note(f"{MODELS} models × {CASES:,} cases, {RESAMPLES:,} resamples, three times")
    walls, processor = zip(*(paired_seconds(gaps=False) for _ in range(3)), strict=True)
    with_gaps, _ = paired_seconds(gaps=True)
    note("the page, from stored results")
    page = page_times()
    shares = covered(options.simulations, options.seed)
    differences = largest_differences(options.seed)
    print(table(["measured", "value"], [
        ["91 pairs × 10,000 resamples, s (best of 3)", min(walls)],
        ["the same, processor s (both cores)", min(processor)],
        ["the same, 1 % of the scores missing, s", with_gaps],
        ["everything of such a leaderboard (8 series), s", page["all_series_s"]],
        ["its page, ms (median)", page["page_p50_ms"]],
        ["its page, ms (slowest)", page["page_max_ms"]],
        ["its JSON, kB", page["stored_kb"]],
    ]))  # fmt: skip
    print()
    print(table(["interval", "coverage"], [[name, share] for name, share in shares.items()]))
    print()
    print(table(["package", "largest difference"], [[name, value] for name, value in differences.items()]))
    measured = {
        "paired_91x10000_s": min(walls),
        "paired_91x10000_cpu_s": min(processor),
        "paired_91x10000_with_gaps_s": with_gaps,
        "coverage": shares,
        "max_difference_to_packages": max(differences.values()),
        "differences": differences,
    }
    finish(measured | page | {"simulations": options.simulations, "conditions": found})
    kept = all(GOAL[0] <= share <= GOAL[1] for name, share in shares.items() if "100" in name)
    return 0 if kept else 1


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.stats", description=__doc__)
    parser.add_argument("--simulations", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=2025)
    return parser.parse_args(arguments)


def paired_seconds(*, gaps: bool) -> tuple[float, float]:
    """Seconds by the clock and of the processor; ``gaps``: one score in a hundred is missing."""
    rng = np.random.default_rng(1)
    values = made_scores(rng, MODELS, CASES)
    if gaps:
        values[rng.random(values.shape) < 0.01] = np.nan
    pairs = list(combinations(range(MODELS), 2))
    with Stopwatch() as watch:
        found = paired_differences(values, np.arange(CASES), pairs, resamples=RESAMPLES)
    if len(found) != 91 or any(pair.p is None for pair in found):
        raise RuntimeError("a comparison has no p")
    return watch.wall_s, watch.cpu_s


def page_times() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="dermcot-bench-") as folder:
        env = environment(Path(folder)) | {"DJANGO_SETTINGS_MODULE": "annotator.settings"}
        prepare(env)
        printed = run_python(["-m", "bench.stats_page", "10"], env)
    times: dict[str, float] = json.loads(printed.splitlines()[-1])
    return times


def covered(simulations: int, seed: int) -> dict[str, float]:
    trials: dict[str, Callable[[np.random.Generator], bool]] = {}
    for cases in (20, 40, 100):
        trials[f"mean, {cases} cases"] = partial(covers_mean, setting=Setting(cases))
        trials[f"paired difference, {cases} cases"] = partial(covers_difference, setting=Setting(cases))
    near, grouped = Setting(100, level=4.7, gain=0.2), Setting(300, per_patient=3)
    trials["mean near the ceiling, 100 cases"] = partial(covers_mean, setting=near)
    trials["paired difference near the ceiling, 100 cases"] = partial(covers_difference, setting=near)
    trials["mean, 100 patients of 3 cases"] = partial(covers_mean, setting=grouped)
    trials["paired difference, 100 patients of 3 cases"] = partial(covers_difference, setting=grouped)
    trials["mean of human scores, 100 cases, 8 raters"] = partial(covers_human_mean, setting=Setting(100))
    shares = {}
    for name, trial in progress(trials.items(), "coverage", total=len(trials)):
        shares[name] = coverage(trial, simulations, seed)
    for cases in progress((20, 40, 100), "coverage of α"):
        shares[f"α, {cases} cases"] = coverage_of_alpha(cases, simulations, seed)
    return shares


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
