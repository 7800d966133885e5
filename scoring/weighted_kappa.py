"""Cohen's kappa with quadratic weights: agreement of two raters on ordered levels, beyond chance.

Source: Cohen, Psychological Bulletin 70 (1968) 213-220. Weights (i - j)², so that for whole levels
κ = 1 - Σ(x - y)² / n ÷ (mean of (xᵢ - yⱼ)² over all pairs i, j): no table is needed.
"""

from collections.abc import Sequence
from statistics import fmean


def quadratic_kappa(first: Sequence[float], second: Sequence[float]) -> float | None:
    """κ of paired levels, at most 1; 0 is agreement by chance, below 0 worse than that.

    ``None`` where it is undefined: no pair, or both gave one and the same level throughout. Raises
    ``ValueError`` for sequences of different length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} levels against {len(second)}: give them in pairs.")
    if not first:
        return None
    observed = fmean((x - y) ** 2 for x, y in zip(first, second, strict=True))
    by_chance = fmean(x * x for x in first) + fmean(y * y for y in second) - 2 * fmean(first) * fmean(second)
    # Levels have few decimals: what is left of rounding is no disagreement.
    return None if by_chance < 1e-12 else 1 - observed / by_chance


def best_of_levels(agreed: Sequence[float], low: float, high: float) -> float | None:
    """The highest κ against ``agreed`` that someone can reach who only ever says ``low`` or ``high``.

    For each number of ``high`` the best choice is to say it where ``agreed`` is highest (rearrangement).
    """
    ordered = sorted(agreed)
    reached = [
        quadratic_kappa(ordered, [low] * (len(ordered) - count) + [high] * count) for count in range(len(ordered) + 1)
    ]
    return max((kappa for kappa in reached if kappa is not None), default=None)
