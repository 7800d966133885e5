"""Writes ``tests/data/agreement_oracles.json``: 1,000 random tables and what other packages say of them.

These packages are GPL or bring pandas and an old numpy, so they live in an environment of their own, never in the
project's:

    uv venv /tmp/oracles --python 3.11
    uv pip install -p /tmp/oracles/bin/python irrCAC==0.4.4 krippendorff==0.9.0 pingouin==0.6.1 nltk==3.10.4
    /tmp/oracles/bin/python tests/oracles/agreement.py

A table is a string: raters as columns, one digit per score, ``.`` for a gap, rows divided by ``/``. ``None`` where the
package has no value.
"""

import importlib.metadata
import itertools
import json
import math
import warnings
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pingouin
from irrCAC.raw import CAC
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

TABLES, SEED, SHARED = 1_000, 20261123, 5
LEVELS = (0, 1, 2, 3, 4, 5)
WRITTEN = Path(__file__).parents[1] / "data" / "agreement_oracles.json"
PACKAGES = ("krippendorff", "nltk", "scikit-learn", "statsmodels", "pingouin", "irrCAC", "numpy")


def random_table(random: np.random.Generator, number: int) -> np.ndarray:
    """Items × raters; every fifth complete; qualities and noise of all kinds, a ceiling among them."""
    items, raters = int(random.integers(3, 41)), int(random.integers(2, 7))
    quality = random.normal(random.uniform(1, 6), random.uniform(0, 2), size=(items, 1))
    severity = random.normal(0, random.uniform(0, 0.8), size=raters)
    noise = random.normal(0, random.uniform(0, 1.5), size=(items, raters))
    table = np.clip(np.round(quality + severity + noise), 0, 5)
    if number % 5:
        table[random.random(table.shape) < random.uniform(0.05, 0.6)] = np.nan
    return table


def alpha_of_krippendorff(table: np.ndarray) -> float | None:
    return known(lambda: krippendorff.alpha(table.T, level_of_measurement="ordinal", value_domain=LEVELS))


def alpha_of_nltk(table: np.ndarray) -> float | None:
    """Its alpha with the ordinal distance given to it: squared distance of middle ranks among pairable scores."""
    rows = table[(~np.isnan(table)).sum(axis=1) > 1]
    counts = np.array([(rows == level).sum() for level in LEVELS])
    rank = np.cumsum(counts) - counts / 2
    data = [(j, i, int(rows[i, j])) for i, j in np.argwhere(~np.isnan(rows))]
    if len({level for *_, level in data}) < 2:
        return None
    return known(lambda: AnnotationTask(data, distance=lambda a, b: float((rank[a] - rank[b]) ** 2)).alpha())


def mean_kappa(table: np.ndarray, kappa) -> float | None:
    found = []
    for a, b in itertools.combinations(range(table.shape[1]), 2):
        both = ~np.isnan(table[:, a]) & ~np.isnan(table[:, b])
        x, y = table[both, a].astype(int), table[both, b].astype(int)
        if len(x) >= SHARED and len({*x, *y}) > 1:
            found.append(kappa(x, y))
    return known(lambda: np.mean(found)) if found else None


def kappa_of_sklearn(x: np.ndarray, y: np.ndarray) -> float:
    return cohen_kappa_score(x, y, labels=LEVELS, weights="quadratic")


def kappa_of_statsmodels(x: np.ndarray, y: np.ndarray) -> float:
    crossed = np.zeros((len(LEVELS), len(LEVELS)))
    np.add.at(crossed, (x, y), 1)
    return cohens_kappa(crossed, weights=np.arange(len(LEVELS)), wt="fc").kappa


def ac2_of_irrcac(table: np.ndarray) -> float | None:
    rated = table[(~np.isnan(table)).any(axis=1)]
    if not ((~np.isnan(rated)).sum(axis=1) > 1).any():
        return None
    frame = pd.DataFrame(rated)
    return known(
        lambda: CAC(frame, weights="quadratic", categories=list(LEVELS), digits=16).gwet()["est"]["coefficient_value"]
    )


def icc_of_pingouin(table: np.ndarray) -> list[float] | None:
    if np.isnan(table).any():
        return None
    long = pd.DataFrame(table).reset_index().melt("index")
    found = pingouin.intraclass_corr(long, targets="index", raters="variable", ratings="value").set_index("Type")["ICC"]
    pair = [float(found["ICC(A,1)"]), float(found["ICC(A,k)"])]
    return pair if all(map(math.isfinite, pair)) else None


def known(compute) -> float | None:
    try:
        value = float(compute())
    except (ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None


def main() -> None:
    warnings.simplefilter("ignore")
    random = np.random.default_rng(SEED)
    rows = []
    for number in range(TABLES):
        table = random_table(random, number)
        rows.append(
            {
                "table": "/".join("".join("." if math.isnan(v) else f"{v:.0f}" for v in row) for row in table),
                "alpha": [alpha_of_krippendorff(table), alpha_of_nltk(table)],
                "kappa": [mean_kappa(table, kappa_of_sklearn), mean_kappa(table, kappa_of_statsmodels)],
                "ac2": ac2_of_irrcac(table),
                "icc": icc_of_pingouin(table),
            }
        )
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    head = json.dumps({"seed": SEED, "shared": SHARED, "packages": versions})
    WRITTEN.write_text(f'{head[:-1]}, "tables": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
