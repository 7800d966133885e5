"""Mean scores of groups of texts, and the variances that a next study is planned with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.agreement.columns import Columns
from scoring.agreement.icc import AbsoluteICC, components
from scoring.agreement.table import OVERALL
from scoring.intervals import mean_interval
from scoring.rubric import DIMENSION_KEYS


def group_rows(columns: Columns, group_of: Mapping[int, str]) -> list[dict[str, Any]]:
    """Per group of texts, by name: texts, ratings, and the mean of each dimension with its interval over cases."""
    import numpy as np

    firsts = columns.firsts()
    names = np.array([group_of.get(int(text), "") for text in firsts.text], dtype=object)
    rows = []
    for name in sorted({str(one) for one in names}):
        chosen = names == name
        found = {}
        for row in (*DIMENSION_KEYS, OVERALL):
            kept = firsts.scored(row) & chosen
            levels = firsts.levels[kept]
            values = levels.mean(axis=1) if row == OVERALL else levels[:, DIMENSION_KEYS.index(row)]
            found[row] = mean_interval([float(one) for one in values], firsts.case[kept].tolist()).as_dict()
        texts = len(np.unique(firsts.text[chosen]))
        rows.append({"group": name, "texts": texts, "ratings": int(chosen.sum()), "means": found})
    return rows


def spreads(columns: Columns) -> dict[str, float | None]:
    """Standard deviations, in rubric points, of texts, raters and what is left, of the mean of the six.

    ``None`` where it cannot be told; a variance that is estimated below 0 is 0.
    """
    table = columns.firsts().table(OVERALL)
    if not table.size:
        return dict.fromkeys(("texts", "raters", "rest"))
    found = [float(one) for one in components(AbsoluteICC(average=False).sums(table).sum(axis=0))]
    return {
        name: max(0.0, one) ** 0.5 if one == one else None
        for name, one in zip(("texts", "raters", "rest"), found, strict=True)
    }
