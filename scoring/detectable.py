"""What a comparison can see: the smallest difference it would find.

For a two-sided test by Student's t at level α with a standard error and its degrees of freedom, a true difference of
(t at 1 − α/2 plus t at the power) × error is found with that power (Bloom, Evaluation Review 19, 1995).
"""

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
