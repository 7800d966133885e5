"""Pushed down: a number from outside decides, for instance how unsure an evaluator was. The highest comes first."""

from collections.abc import Mapping

from scoring.strategies.base import HIGHEST_RANK, Facts, Place, clipped


def pushed_places(facts: Facts) -> Mapping[int, Place]:
    """Ranks spread over the numbers that the waiting versions have; without one a version comes last."""
    pushed = facts.pushed()
    lowest, highest = min(pushed.values(), default=0.0), max(pushed.values(), default=0.0)
    scale = (HIGHEST_RANK - 1) / (highest - lowest) if highest > lowest else 0.0
    none = Place(0, {"rule": "not_pushed"})
    return {
        version: Place(clipped(1 + (pushed[version] - lowest) * scale), {"rule": "pushed", "value": pushed[version]})
        if version in pushed
        else none
        for version in facts.waiting()
    }
