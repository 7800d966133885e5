"""One figure in groups of patients, such as skin tones of one scale: the worst group, and how far it is from the best.

Groups with fewer than 30 values say nothing. The gap is the best group's mean minus the worst one's, its interval
Welch's (errors clustered by patient or lesion, the fewer clusters less one as degrees of freedom). Best and worst are
chosen from the same values, so that a gap is somewhat too large by chance.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

from scoring.intervals import Ends, cluster_variance, mean_interval, t_quantile

LEAST = 30
TOO_FEW = f"fewer than {LEAST} values"
ONE_GROUP = f"fewer than two groups have {LEAST} values"
NO_ERROR = "the spread within the groups is not known"


def by_group(
    values: Sequence[float], groups: Sequence[str], clusters: Sequence[Hashable], *, scale: Ends
) -> dict[str, Any]:
    """``groups``: of each, by name, ``group``, ``n``, ``mean``, ``low``, ``high``, ``reason``; ``worst``: the name of
    the one with the lowest mean, ``gap``: ``mean``, ``low``, ``high``, ``reason``. Everything unknown is ``None``."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    rows, known = [], []
    for name, places in sorted(members.items()):
        some, owners = [values[place] for place in places], [clusters[place] for place in places]
        if len(some) < LEAST:
            rows.append({"group": name, "n": len(some), "mean": None, "low": None, "high": None, "reason": TOO_FEW})
            continue
        found = mean_interval(some, owners, scale=scale)
        rows.append({"group": name, **found.as_dict()})
        known.append((found.mean or 0.0, name, some, owners))
    known.sort(key=lambda one: one[:2])
    return {"groups": rows, "worst": known[0][1] if len(known) > 1 else None, "gap": _gap(known)}


def _gap(known: list[tuple[float, str, list[float], list[Hashable]]]) -> dict[str, Any]:
    nothing = {"low": None, "high": None}
    if len(known) < 2:
        return {"mean": None, **nothing, "reason": ONE_GROUP}
    (low, _, worst, of_worst), (high, _, best, of_best) = known[0], known[-1]
    clusters = [len(set(owners)) for owners in (of_worst, of_best)]
    if min(clusters) < 2:
        return {"mean": high - low, **nothing, "reason": NO_ERROR}
    error = math.sqrt(cluster_variance(worst, of_worst, low) + cluster_variance(best, of_best, high))
    if error < 1e-12:
        return {"mean": high - low, **nothing, "reason": NO_ERROR}
    reach = t_quantile(0.975, min(clusters) - 1) * error
    return {"mean": high - low, "low": high - low - reach, "high": high - low + reach, "reason": ""}
