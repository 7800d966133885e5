"""`make bench-stats_coverage`: how often the interval of Krippendorff's α covers the truth, where that is simulated.

A case has a quality, its texts have one near it, six raters have severities of their own, and three of them, drawn anew
for each text, score it. The true α follows exactly from the probabilities of two different raters' levels.
"""

import argparse
import math
import sys
from functools import cache
from typing import Any

import numpy as np

from bench.reporting import conditions, finish, in_words, note, table
from scoring.agreement.alpha import OrdinalAlpha
from scoring.agreement.bootstrap import estimate
from scoring.agreement.table import SCALE, ScoreTable, score_table

SEVERITIES = (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5)
PER_TEXT, TEXTS = 3, 2
MEAN, BETWEEN_CASES, BETWEEN_TEXTS, NOISE = 3.2, 0.9, 0.5, 0.7
CUTS = np.array([0.5, 1.5, 2.5, 3.5, 4.5])


def coverage_of_alpha(cases: int, simulations: int, seed: int, resamples: int = 1_000) -> float:
    """The share of ``simulations`` studies of ``cases`` cases whose 95 % interval holds the true α."""
    truth, statistic = true_alpha(), OrdinalAlpha()
    held = 0
    for number in range(simulations):
        random = np.random.default_rng([seed, cases, number])
        found = estimate(statistic, simulated(random, cases), resamples=resamples, seed=number)
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    return held / simulations


def simulated(random: np.random.Generator, cases: int) -> ScoreTable:
    """One study: ``TEXTS`` texts of each case, ``PER_TEXT`` raters of each text."""
    quality = MEAN + random.normal(0, BETWEEN_CASES, cases)
    text = np.repeat(quality, TEXTS) + random.normal(0, BETWEEN_TEXTS, cases * TEXTS)
    raters = np.argsort(random.random((len(text), len(SEVERITIES))), axis=1)[:, :PER_TEXT]
    latent = text[:, None] + np.asarray(SEVERITIES)[raters] + random.normal(0, NOISE, raters.shape)
    items = np.repeat(np.arange(len(text)), PER_TEXT)
    return score_table(items, raters.ravel(), items // TEXTS, np.searchsorted(CUTS, latent.ravel()))


@cache
def true_alpha() -> float:
    """α of endlessly many texts: coincidences of all ordered pairs of different raters, over the quality's law."""
    points, weights = np.polynomial.hermite_e.hermegauss(200)
    quality = MEAN + math.hypot(BETWEEN_CASES, BETWEEN_TEXTS) * points
    weights = weights / weights.sum()
    given = np.stack([_levels(quality + severity) for severity in SEVERITIES])  # raters × qualities × levels
    together = np.zeros((len(SCALE), len(SCALE)))
    for a, one in enumerate(given):
        for b, other in enumerate(given):
            if a != b:
                together += np.einsum("q,qi,qj->ij", weights, one, other)
    return float(OrdinalAlpha().value(together.reshape(-1) * 1e9))


def _levels(latent: Any) -> Any:
    """Probability of each level where the rater hears ``latent`` plus her noise."""
    below = np.array([[0.5 * math.erfc((x - cut) / NOISE / math.sqrt(2)) for cut in CUTS] for x in latent])
    return np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)


def main(arguments: list[str]) -> int:
    """Prints the coverage at 20, 40 and 100 cases; fails where 100 cases lie outside 93 to 97 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args(arguments)
    found = conditions("numpy", "scipy")
    note(in_words(found))
    covered = {cases: coverage_of_alpha(cases, options.simulations, options.seed) for cases in (20, 40, 100)}
    print(table(["cases", "covers, %"], [[cases, 100 * share] for cases, share in covered.items()]))
    finish({"alpha": covered, "truth": true_alpha(), "simulations": options.simulations, "conditions": found})
    return 0 if 0.93 <= covered[100] <= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
