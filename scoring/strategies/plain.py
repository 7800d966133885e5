"""Random order, and the order in which narratives were added: no rank, only the order key."""

from collections.abc import Mapping

from scoring.strategies.base import Facts, Place


def random_places(facts: Facts) -> Mapping[int, Place]:
    return dict.fromkeys(facts.waiting(), Place(0, {"rule": "random", "seed": facts.seed}))


def added_places(facts: Facts) -> Mapping[int, Place]:
    return dict.fromkeys(facts.waiting(), Place(0, {"rule": "in_order"}))
