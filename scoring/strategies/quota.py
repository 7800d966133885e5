"""Quotas: the strata that lie furthest below their share of the ratings come first."""

from collections.abc import Mapping
from typing import Any

from scoring.strategies.base import Facts, Place, clipped


def quota_places(facts: Facts) -> Mapping[int, Place]:
    """A version ranks by the largest shortfall, in percent points × 100, among the quotas that it falls under."""
    shares = facts.shares()
    short: dict[tuple[str, str], Place] = {}
    for quota in facts.quotas:
        have = shares.get((quota["by"], quota["value"]), 0.0)
        missing = quota["percent"] - have
        if missing > 0:
            why = {"rule": "quota", **quota, "have": round(have, 1)}
            short[quota["by"], quota["value"]] = Place(clipped(missing * 100), why)
    met = Place(0, {"rule": "quota_met"})
    return {version: _largest(strata, short, met) for version, strata in facts.strata().items()}


def _largest(strata: Mapping[str, str], short: Mapping[Any, Place], met: Place) -> Place:
    found = [short[by, value] for by, value in strata.items() if (by, value) in short]
    return max(found, key=lambda place: place.rank, default=met)
