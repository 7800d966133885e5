"""Most disagreed: where raters differ most, another rating tells most."""

from collections.abc import Mapping, Sequence

from scoring.rubric import DIMENSION_KEYS
from scoring.strategies.base import Facts, Place, clipped


def disagreed_places(facts: Facts) -> Mapping[int, Place]:
    """A version ranks by its widest range on any dimension, in points × 1,000; a single rating is just above none."""
    scores = facts.scores()
    return {version: _place(scores.get(version, ())) for version in facts.waiting()}


def _place(ratings: Sequence[Mapping[str, float | None]]) -> Place:
    if len(ratings) < 2:
        return Place(len(ratings), {"rule": "too_few_to_disagree", "ratings": len(ratings)})
    widest, dimension, lowest, highest = -1.0, "", 0.0, 0.0
    for key in DIMENSION_KEYS:
        values = [value for rating in ratings if (value := rating.get(key)) is not None]
        if len(values) > 1 and max(values) - min(values) > widest:
            widest, dimension, lowest, highest = max(values) - min(values), key, min(values), max(values)
    if widest <= 0:
        return Place(0, {"rule": "agreed", "ratings": len(ratings)})
    why = {"rule": "disagreement", "dimension": dimension, "lowest": lowest, "highest": highest}
    return Place(clipped(widest * 1_000), why)
