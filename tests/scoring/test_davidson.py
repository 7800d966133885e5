"""Davidson's strengths against his likelihood maximised by scipy, and against known truths."""

import evalica
import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.davidson import PRIOR, Vote, standings

ITEMS = "abcd"


def simulated(
    rng: np.random.Generator, strengths: list[float], ties: float, rounds: int, tilt: float = 0.0
) -> list[Vote]:
    """Every pair votes once per case; ``tilt``: how much a case favours items at random."""
    votes = []
    for case in range(rounds):
        here = np.array(strengths) + rng.normal(0, tilt, len(strengths))
        for i in range(len(strengths)):
            for j in range(i):
                left, right = np.exp(here[i]), np.exp(here[j])
                weights = np.array([left, right, ties * np.sqrt(left * right)])
                outcome = rng.choice(["left", "right", "tie"], p=weights / weights.sum())
                votes.append(Vote(ITEMS[i], ITEMS[j], str(outcome), case))
    return votes


def by_likelihood(votes: list[Vote], items: str) -> tuple[dict[str, float], float]:
    """Expected shares and the tie share at the maximum of the likelihood, the prior included."""
    met = {tuple(sorted((vote.left, vote.right))) for vote in votes}
    rows = [(vote, 1.0) for vote in votes]
    rows += [(Vote(*pair, outcome, 0), PRIOR) for pair in met for outcome in ("left", "right", "tie")]

    def chances(at, vote):
        left, right = (np.exp(at[items.index(item)]) for item in (vote.left, vote.right))
        each = np.array([left, right, np.exp(at[-1]) * np.sqrt(left * right)])
        return dict(zip(("left", "right", "tie"), each / each.sum(), strict=True))

    found = minimize(
        lambda at: -sum(n * np.log(chances(at, vote)[vote.outcome]) for vote, n in rows) + at[:-1].sum() ** 2,
        np.zeros(len(items) + 1),
        options={"gtol": 1e-7},
    ).x
    shares = {}
    for item in items:
        each = [chances(found, Vote(item, other, "tie", 0)) for other in items if other != item]
        shares[item] = float(np.mean([p["left"] + p["tie"] / 2 for p in each]))
    ties = np.exp(found[-1])
    return shares, ties / (2 + ties)


def test_strengths_maximise_davidsons_likelihood():
    votes = simulated(np.random.default_rng(2), [0.0, 0.4, 1.1], 0.7, 25)
    (found,) = standings(votes, resamples=2)
    shares, ties = by_likelihood(votes, "abc")
    assert {s.item: s.share for s in found.strengths} == pytest.approx(shares, abs=1e-4)
    assert found.tie_share == pytest.approx(ties, abs=1e-4)


def test_agrees_with_evalica_where_there_are_ties():
    """Its v is ν/2; without ties its iteration swings for ever, so it is no judge of such votes."""
    votes = simulated(np.random.default_rng(3), [0.0, 0.4, 1.1, 0.2], 0.7, 25)
    met = {tuple(sorted((vote.left, vote.right))) for vote in votes}
    rows = [(vote, 1.0) for vote in votes]
    rows += [(Vote(*pair, outcome, 0), PRIOR) for pair in met for outcome in ("left", "right", "tie")]
    winner = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    columns = ([v.left for v, _ in rows], [v.right for v, _ in rows], [winner[v.outcome] for v, _ in rows])
    theirs = evalica.newman(*columns, weights=[n for _, n in rows], tolerance=1e-13, limit=10_000)
    (found,) = standings(votes, resamples=2)
    assert found.tie_share == pytest.approx(theirs.v / (1 + theirs.v), abs=1e-9)
    strength = theirs.scores
    for mine in found.strengths:
        against = [
            (strength[mine.item] + theirs.v * (root := (strength[mine.item] * strength[other]) ** 0.5))
            / (strength[mine.item] + strength[other] + 2 * theirs.v * root)
            for other in "abcd"
            if other != mine.item
        ]
        assert mine.share == pytest.approx(np.mean(against), abs=1e-9)


def test_the_stronger_stands_first_and_its_rank_is_sure():
    (found,) = standings(simulated(np.random.default_rng(1), [0.0, 0.1, 2.0], 0.5, 60), resamples=200)
    best = found.strengths[0]
    assert (best.item, best.best, best.worst) == ("c", 1, 1)
    assert {(s.best, s.worst) for s in found.strengths[1:]} == {(2, 3)}
    assert best.wins + best.losses + best.ties == 120 and (found.votes, found.clusters) == (180, 60)


def test_sides_do_not_matter():
    votes = simulated(np.random.default_rng(4), [0.0, 0.8], 0.5, 30)
    other = {"left": "right", "right": "left", "tie": "tie"}
    turned = [Vote(v.right, v.left, other[v.outcome], v.cluster) for v in votes]
    assert standings(votes, resamples=50) == standings(turned, resamples=50)


def test_votes_of_one_patient_are_drawn_together():
    """Each vote given three times over on its case says no more than once; as cases of their own they would."""
    votes = simulated(np.random.default_rng(6), [0.0, 0.5], 0.5, 40)
    apart = [Vote(*vote[:3], (vote.cluster, copy)) for vote in votes for copy in range(3)]
    width = {}
    for name, given in (("together", votes * 3), ("apart", apart)):
        strength = standings(given, resamples=200)[0].strengths[0]
        width[name] = strength.high - strength.low
    assert width["together"] > 1.4 * width["apart"]


def test_who_never_met_is_not_compared():
    votes = [Vote("a", "b", "left", 1), Vote("a", "b", "tie", 2), Vote("c", "d", "right", 1)]
    first, second = standings(votes, resamples=50)
    assert {s.item for s in first.strengths} == {"a", "b"} and {s.item for s in second.strengths} == {"c", "d"}
    assert second.reason and {s.best for s in second.strengths} == {None}


def test_an_unbeaten_item_has_a_finite_strength():
    (found,) = standings([Vote("a", "b", "left", case) for case in range(6)], resamples=50)
    assert found.strengths[0].item == "a" and 0.8 < found.strengths[0].share < 1


def test_no_votes_no_standing_and_nonsense_is_refused():
    assert standings([]) == []
    with pytest.raises(ValueError, match="two items"):
        standings([Vote("a", "a", "left", 1)])
