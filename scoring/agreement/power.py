"""How likely a study finds a difference, by raters and cases, before it starts.

Two texts of each case are compared, scored by the same raters. With variances of texts τ² and of what is left σ² in
squared rubric points, k raters and n cases, the mean difference has variance 2(τ² + σ²/k)/n; a rater's severity cancels
out. Power is that of a two-sided z test at 5 % (Cohen, Statistical Power Analysis, 2nd ed., ch. 2). It is cautious:
that two texts of one case resemble each other is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.05
WISHED = 0.8
_NORMAL = NormalDist()


@dataclass(frozen=True)
class PowerTable:
    """``power[i][j]`` for ``raters[i]`` and ``cases[j]``, 0 to 1; ``smallest``: the difference found with 80 %."""

    raters: tuple[int, ...]
    cases: tuple[int, ...]
    power: tuple[tuple[float, ...], ...]
    smallest: tuple[tuple[float, ...], ...]


def power_table(
    *, difference: float, between_texts: float, rest: float, raters: Sequence[int], cases: Sequence[int]
) -> PowerTable:
    """``between_texts`` and ``rest`` are standard deviations in rubric points.

    Raises ``ValueError`` for a difference that is not above 0, a spread below 0 and fewer than one rater or two cases.
    """
    if difference <= 0 or between_texts < 0 or rest < 0 or between_texts + rest == 0:
        raise ValueError("Give a difference above 0 and how far scores spread.")
    if min(raters, default=0) < 1 or min(cases, default=0) < 2:
        raise ValueError("Give at least one rater and two cases.")
    errors = [[(2 * (between_texts**2 + rest**2 / k) / n) ** 0.5 for n in cases] for k in raters]
    bound = _NORMAL.inv_cdf(1 - LEVEL / 2)
    return PowerTable(
        tuple(raters),
        tuple(cases),
        tuple(tuple(_power(difference / error, bound) for error in row) for row in errors),
        tuple(tuple((bound + _NORMAL.inv_cdf(WISHED)) * error for error in row) for row in errors),
    )


def _power(shift: float, bound: float) -> float:
    return _NORMAL.cdf(shift - bound) + _NORMAL.cdf(-shift - bound)
