"""How far our figures are from independent packages on the same data: the largest absolute difference."""

from itertools import combinations

import numpy as np

from scoring.davidson import PRIOR, Vote, standings
from scoring.intervals import mean_interval
from scoring.multiple import holm
from scoring.resampling import paired_differences


def largest_differences(seed: int) -> dict[str, float]:
    """By package: scipy (t interval; bootstrap of the same statistic and draws), statsmodels (Holm), evalica."""
    rng = np.random.default_rng(seed)
    return {
        "scipy t interval": _t_interval(rng),
        "scipy bootstrap": max(_bootstrap(rng, cases) for cases in (30, 100, 400)),
        "statsmodels Holm": _holm(rng),
        "evalica Davidson": _davidson(rng),
    }


def _t_interval(rng: np.random.Generator) -> float:
    from scipy import stats

    worst = 0.0
    for size in (5, 30, 300):
        values = rng.normal(3, 1, size)
        found = mean_interval(values.tolist())
        assert found.low is not None and found.high is not None
        low, high = stats.t.interval(0.95, size - 1, values.mean(), stats.sem(values))
        worst = max(worst, abs(found.low - low), abs(found.high - high))
    return worst


def _bootstrap(rng: np.random.Generator, cases: int) -> float:
    from scipy import stats

    values = rng.normal(3, 1, (2, cases))
    (found,) = paired_differences(values, np.arange(cases), [(0, 1)], resamples=4999, seed=7)
    gain = values[1] - values[0]
    error = stats.sem(gain)

    def studentised(sample: np.ndarray, axis: int) -> np.ndarray:
        spread: np.ndarray = (sample.mean(axis) - gain.mean()) / (sample.std(axis, ddof=1) / np.sqrt(cases))
        return spread

    drawn = stats.bootstrap(
        (gain,), studentised, n_resamples=4999, batch=250, method="percentile", rng=np.random.default_rng(7)
    ).bootstrap_distribution
    reach = np.sort(np.abs(drawn))[int(np.ceil(0.95 * 5000)) - 1] * error
    p = (1 + (np.abs(drawn) >= abs(gain.mean()) / error).sum()) / 5000
    assert found.low is not None and found.high is not None and found.p is not None
    return max(abs(found.low - gain.mean() + reach), abs(found.high - gain.mean() - reach), abs(found.p - p))


def _holm(rng: np.random.Generator) -> float:
    from statsmodels.stats.multitest import multipletests

    worst = 0.0
    for size in (1, 3, 91, 500):
        values = rng.random(size) ** 3
        ours = np.array(holm(values.tolist()), dtype=float)
        worst = max(worst, float(np.abs(ours - multipletests(values, method="holm")[1]).max()))
    return worst


def _davidson(rng: np.random.Generator) -> float:
    import evalica

    items, outcomes = "abcdef", ("left", "right", "tie")
    winner = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    pairs = list(combinations(items, 2))
    votes = [
        Vote(left, right, str(rng.choice(outcomes, p=[0.3, 0.4, 0.3])), case)
        for left, right in pairs
        for case in range(40)
    ]
    rows = [(vote, 1.0) for vote in votes] + [
        (Vote(*pair, outcome, 0), PRIOR) for pair in pairs for outcome in outcomes
    ]
    theirs = evalica.newman(
        [vote.left for vote, _ in rows],
        [vote.right for vote, _ in rows],
        [winner[vote.outcome] for vote, _ in rows],
        weights=[weight for _, weight in rows],
        tolerance=1e-13,
        limit=10_000,
    )
    (found,) = standings(votes, resamples=2)
    strength, half = theirs.scores.to_dict(), theirs.v

    def share(item: str) -> float:
        each = []
        for other in set(items) - {item}:
            root = (strength[item] * strength[other]) ** 0.5
            each.append((strength[item] + half * root) / (strength[item] + strength[other] + 2 * half * root))
        return float(np.mean(each))

    worst = max(abs(each.share - share(each.item)) for each in found.strengths)
    return max(worst, abs(found.tie_share - half / (1 + half)))
