"""Wilson's 95 % interval of a share: also where all or none are right, unlike Student's t.

Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212. For shares of independent cases; z = 1.959963984540054.
"""

import math
from statistics import NormalDist
from typing import Any

Z = NormalDist().inv_cdf(0.975)
NOTHING = "nothing was counted"


def wilson(right: int, n: int) -> dict[str, Any]:
    """``n``, ``right``, ``mean`` (the share, 0 to 1), ``low``, ``high``, ``reason``; ``None`` where ``n`` is 0.

    Raises ``ValueError`` for counts that cannot be.
    """
    if not 0 <= right <= n:
        raise ValueError(f"{right} of {n} is no share")
    if n == 0:
        return {"n": 0, "right": 0, "mean": None, "low": None, "high": None, "reason": NOTHING}
    share, z2 = right / n, Z * Z
    middle, reach = share + z2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = ((middle + side * reach) / (1 + z2 / n) for side in (-1, 1))
    ends = {"low": 0.0 if right == 0 else low, "high": 1.0 if right == n else high}
    return {"n": n, "right": right, "mean": share, **ends, "reason": ""}
