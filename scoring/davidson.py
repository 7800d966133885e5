"""Strengths from blind votes with ties: Davidson's form of the Bradley–Terry model, with a bootstrap of cases.

i is preferred to j with π_i / (π_i + π_j + ν √(π_i π_j)), a tie has ν √(π_i π_j) over the same sum (Davidson, J. Am.
Stat. Assoc. 65, 1970). In log π and log ν this is a conditional logit, whose likelihood has one peak: Newton's method
finds it for all resamples at once. Every two items that met get a quarter of each outcome on top, so that an unbeaten
one has a finite strength. Needs numpy: for workers, never for the web process.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.intervals import LEVEL
from scoring.resampling import SEED, cluster_weights

RESAMPLES = 1_000
MOST_STEPS = 200
PRIOR = 0.25  # votes of each outcome
OUTCOMES = ("left", "right", "tie")
TOO_FEW = "an interval needs votes on at least two patients or lesions"
Floats = NDArray[np.float64]


class Vote(NamedTuple):
    """Which of two items was preferred (``left``, ``right`` or ``tie``) on a case of this patient or lesion."""

    left: str
    right: str
    outcome: str
    cluster: Hashable


@dataclass(frozen=True)
class Strength:
    """``share``: the expected share of votes against the others, a tie counting half, 0 to 1, with its interval.

    ``best`` and ``worst``: the ranks that 95 % of the resamples span. ``None`` where they cannot be known.
    """

    item: str
    wins: int
    losses: int
    ties: int
    share: float
    low: float | None
    high: float | None
    best: int | None
    worst: int | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Standing:
    """Items that votes connect, strongest first. ``tie_share``: expected ties between equals, 0 to 1."""

    votes: int
    clusters: int
    tie_share: float
    strengths: tuple[Strength, ...]
    reason: str = ""


def standings(votes: Sequence[Vote], *, resamples: int = RESAMPLES, seed: int = SEED) -> list[Standing]:
    """One standing per set of items that votes connect, the largest first: across sets nothing can be compared.

    Raises ``ValueError`` for a vote between one item and itself or of an unknown outcome.
    """
    for vote in votes:
        if vote.left == vote.right or vote.outcome not in OUTCOMES:
            raise ValueError(f"not a vote between two items: {vote}")
    found = [
        _standing([vote for vote in votes if vote.left in items], sorted(items), resamples, seed)
        for items in _connected(votes)
    ]
    return sorted(found, key=lambda standing: -standing.votes)


def _connected(votes: Iterable[Vote]) -> list[set[str]]:
    groups: list[set[str]] = []
    for vote in votes:
        touched = [group for group in groups if group & {vote.left, vote.right}]
        groups = [group for group in groups if group not in touched]
        groups.append({vote.left, vote.right}.union(*touched))
    return groups


def _standing(votes: list[Vote], items: list[str], resamples: int, seed: int) -> Standing:
    pairs = sorted({_ordered(vote)[:2] for vote in votes})
    clusters = sorted({vote.cluster for vote in votes}, key=str)
    counts = np.zeros((len(clusters), len(pairs), len(OUTCOMES)))
    rows, columns = ({key: at for at, key in enumerate(keys)} for keys in (clusters, pairs))
    for vote in votes:
        left, right, outcome = _ordered(vote)
        counts[rows[vote.cluster], columns[left, right], OUTCOMES.index(outcome)] += 1
    places = [(items.index(left), items.index(right)) for left, right in pairs]
    shares, ties = _fit(counts.sum(axis=0)[None], places, len(items))
    drawn = np.empty((0, len(items)))
    if len(clusters) > 1:
        weights = cluster_weights(len(clusters), resamples, np.random.default_rng(seed))
        drawn = _fit(np.tensordot(weights, counts, axes=1), places, len(items))[0]
    strengths = [_strength(item, at, votes, shares[0], drawn) for at, item in enumerate(items)]
    ordered = tuple(sorted(strengths, key=lambda strength: -strength.share))
    return Standing(len(votes), len(clusters), float(ties[0]), ordered, "" if len(drawn) else TOO_FEW)


def _ordered(vote: Vote) -> tuple[str, str, str]:
    """The vote with its two items in alphabetical order."""
    if vote.left < vote.right:
        return vote.left, vote.right, vote.outcome
    return vote.right, vote.left, {"left": "right", "right": "left"}.get(vote.outcome, vote.outcome)


def _fit(counts: Floats, places: Sequence[tuple[int, int]], items: int) -> tuple[Floats, Floats]:
    """Of each resample every item's expected share against the others, and the share of ties between equals.

    ``counts``: (resamples, pairs, outcomes); answers (resamples, items) and (resamples,). The first item's strength is
    the unit. Raises ``ArithmeticError`` where Newton's method does not arrive.
    """
    features = np.zeros((len(places), len(OUTCOMES), items + 1))  # of log π and log ν, in each outcome's numerator
    for row, (left, right) in enumerate(places):
        features[row, 0, left] = features[row, 1, right] = features[row, 2, items] = 1
        features[row, 2, [left, right]] = 0.5
    features = features[:, :, 1:]
    given = counts + PRIOR
    at = np.zeros((len(counts), items))
    for _ in range(MOST_STEPS):
        chances = np.exp(np.tensordot(at, features, axes=(1, 2)))
        chances /= chances.sum(axis=2, keepdims=True)
        weights = given.sum(axis=2, keepdims=True) * chances
        centred = np.einsum("bpo,poi->bpi", chances, features)
        slope = np.tensordot(given - weights, features, axes=2)
        bend = np.einsum("bpo,poi,poj->bij", weights, features, features, optimize=True)
        bend -= np.einsum("bp,bpi,bpj->bij", weights.sum(axis=2), centred, centred, optimize=True)
        step = np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        at += step / np.maximum(1, longest)  # a long first step could pass the peak
        if longest.max(initial=0) < 1e-9:
            return _shares(at)
    raise ArithmeticError("the strengths did not converge")


def _shares(at: Floats) -> tuple[Floats, Floats]:
    strength = np.exp(np.column_stack([np.zeros(len(at)), at[:, :-1]]))
    tie = np.exp(at[:, -1])[:, None, None]
    one, other = strength[:, :, None], strength[:, None, :]
    root = np.sqrt(one * other)
    wins = (one + tie * root / 2) / (one + other + tie * root)
    return (wins.sum(axis=2) - 0.5) / (strength.shape[1] - 1), (tie / (2 + tie))[:, 0, 0]


def _strength(item: str, at: int, votes: list[Vote], shares: Floats, drawn: Floats) -> Strength:
    mine = [vote for vote in votes if item in (vote.left, vote.right)]
    ties = sum(vote.outcome == "tie" for vote in mine)
    wins = sum(vote.outcome != "tie" and (vote.left if vote.outcome == "left" else vote.right) == item for vote in mine)
    ends: tuple[float | None, ...] = (None, None)
    ranks: tuple[int | None, ...] = (None, None)
    if len(drawn):
        tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        ends = tuple(float(end) for end in np.quantile(drawn[:, at], tails))
        places = 1 + (drawn > drawn[:, [at]]).sum(axis=1)
        ranks = tuple(int(place) for place in np.quantile(places, tails, method="inverted_cdf"))
    return Strength(item, wins, len(mine) - wins - ties, ties, float(shares[at]), ends[0], ends[1], ranks[0], ranks[1])
