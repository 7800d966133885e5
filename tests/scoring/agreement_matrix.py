"""Score tables from matrices, as the oracles of agreement statistics are published."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scoring.agreement.table import SCALE, ScoreTable, score_table


def table_from_matrix(matrix: Any, *, cases: Sequence[Any] | None = None, scale: Sequence[float] = SCALE) -> ScoreTable:
    """A table from items × raters in rubric points, NaN for gaps; without ``cases`` each item is a case."""
    rows, columns = np.nonzero(~np.isnan(matrix))
    labels = np.arange(len(matrix)) if cases is None else np.asarray(cases)
    return score_table(rows, columns, labels[rows], matrix[rows, columns], scale)
