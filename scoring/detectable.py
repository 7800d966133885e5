"""What a comparison can see: the smallest difference it would find, and how many cases a smaller one needs.

For a two-sided test by Student's t at level α with a standard error and its degrees of freedom, a true difference of
(t at 1 − α/2 plus t at the power) × error is found with that power (Bloom, Evaluation Review 19, 1995).
"""

import math

from scoring.intervals import t_quantile
from scoring.multiple import ALPHA

POWER = 0.8


def detectable_difference(error: float, degrees: int, *, comparisons: int = 1, power: float = POWER) -> float:
    """The smallest true difference found with ``power``; ``comparisons``: α is shared by that many (Holm's first step).

    On the scale of ``error``. Raises ``ValueError`` without an error, degrees of freedom or a power between 0.5 and 1.
    """
    if error <= 0 or degrees < 1 or comparisons < 1 or not 0.5 <= power < 1:
        raise ValueError("an error above 0, a degree of freedom, a comparison and a power from 0.5 below 1 are needed")
    return (t_quantile(1 - ALPHA / comparisons / 2, degrees) + t_quantile(power, degrees)) * error


def clusters_needed(difference: float, error: float, clusters: int, *, comparisons: int = 1) -> int:
    """How many patients or lesions would find ``difference``, where ``clusters`` of them gave this ``error``.

    The error shrinks with the root of their number. Raises ``ValueError`` for a difference of 0.
    """
    if not difference:
        raise ValueError("no number of cases finds a difference of 0")
    needed = 2
    for _ in range(50):  # the quantiles depend on the number, a little
        reach = detectable_difference(error, needed - 1, comparisons=comparisons)
        after = max(2, math.ceil(clusters * (reach / abs(difference)) ** 2))
        if after == needed:
            break
        needed = after
    return needed
