"""Which of two texts stands on the left: random, yet balanced for every rater.

A rater's votes on two arms come in blocks of four, each with the first arm twice on the left, in an order drawn
from the study's seed. So her sides are never more than two apart, and neither she nor an arm keeps a side.
"""

import random

BLOCK = 4


def first_is_left(*, seed: int, comparison: str, rater: str, vote: int) -> bool:
    """Whether the first arm's text is on the left at her ``vote`` (from 0) of this comparison."""
    sides = [True, False] * (BLOCK // 2)
    random.Random(f"{seed}:{comparison}:{rater}:{vote // BLOCK}").shuffle(sides)
    return sides[vote % BLOCK]
