"""Which narrative comes next: one line here per strategy, one file per idea. Pure: no database."""

from scoring.strategies.base import Facts, Place, Strategy
from scoring.strategies.most_disagreed import disagreed_places
from scoring.strategies.plain import added_places, random_places
from scoring.strategies.pushed import pushed_places
from scoring.strategies.quota import quota_places

STRATEGIES: dict[str, Strategy] = {
    "random": Strategy(random_places),
    "in_order": Strategy(added_places, in_order=True),
    "quota": Strategy(quota_places),
    "most_disagreed": Strategy(disagreed_places),
    "pushed": Strategy(pushed_places),
}

__all__ = ["STRATEGIES", "Facts", "Place", "Strategy"]
