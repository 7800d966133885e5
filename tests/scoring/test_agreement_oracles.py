"""Agreement against independent packages on 1,000 random tables with gaps (``tests/oracles/agreement.py``)."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from scoring.agreement.ac2 import GwetAC2
from scoring.agreement.alpha import OrdinalAlpha
from scoring.agreement.bootstrap import point
from scoring.agreement.icc import AbsoluteICC, components
from scoring.agreement.kappa import MeanKappa
from scoring.agreement.table import SCALE
from scoring.agreement.within_one import WithinOne
from scoring.weighted_kappa import quadratic_kappa
from tests.scoring.agreement_matrix import table_from_matrix

ORACLES = json.loads((Path(__file__).parents[1] / "data" / "agreement_oracles.json").read_text(encoding="utf-8"))
ROWS = ORACLES["tables"]
CLOSE = 1e-9


def matrix(text: str) -> np.ndarray:
    return np.array([[float("nan") if c == "." else float(c) for c in row] for row in text.split("/")])


TABLES = [(matrix(row["table"]), row) for row in ROWS]


def differences(statistic, expected) -> tuple[list[float], int]:
    """|ours − theirs| where both have a value, and how many tables both call undefined."""
    apart, undefined = [], 0
    for cells, row in TABLES:
        ours = point(statistic, table_from_matrix(cells))
        for theirs in expected(row):
            if ours is None or theirs is None:
                assert ours is None and theirs is None, (row["table"], ours, theirs)
                undefined += 1
            else:
                apart.append(abs(ours - theirs))
    return apart, undefined


def test_there_are_a_thousand_tables_and_most_have_gaps() -> None:
    assert len(ROWS) == 1_000
    assert sum("." in row["table"] for row in ROWS) > 700


def test_alpha_equals_two_packages() -> None:
    apart, undefined = differences(OrdinalAlpha(), lambda row: row["alpha"])
    assert len(apart) > 1_800
    assert max(apart) < CLOSE
    assert undefined > 0


def test_kappa_equals_two_packages() -> None:
    apart, undefined = differences(MeanKappa(fewest=ORACLES["shared"]), lambda row: row["kappa"])
    assert len(apart) > 1_500
    assert max(apart) < CLOSE
    assert undefined > 0


def test_ac2_equals_irrcac() -> None:
    apart, _undefined = differences(GwetAC2(SCALE), lambda row: [row["ac2"]])
    assert len(apart) > 900
    assert max(apart) < CLOSE


@pytest.mark.parametrize(("average", "place"), [(False, 0), (True, 1)])
def test_icc_equals_pingouin_on_complete_tables(average, place) -> None:
    complete = [(cells, row["icc"]) for cells, row in TABLES if row["icc"] is not None]
    assert len(complete) > 150
    ours = [point(AbsoluteICC(average=average), table_from_matrix(cells)) for cells, _ in complete]
    apart = [
        abs(value - expected[place]) for value, (_, expected) in zip(ours, complete, strict=True) if value is not None
    ]
    assert len(apart) == len([value for value in ours if value is not None]) > 150
    assert max(apart) < CLOSE


def test_variance_components_with_gaps_solve_the_expectations_of_their_sums_of_squares() -> None:
    """The same moments from dense projections: E[y'Qy] = σ²·tr(Q·ZZ') for each component."""
    checked = 0
    for cells, row in TABLES[:200]:
        table = table_from_matrix(cells)
        if "." not in row["table"] or table.size < 6:
            continue
        total = AbsoluteICC(average=False).sums(table).sum(axis=0)
        expected = dense_components(table)
        if expected is None:
            continue
        assert np.allclose(np.array(components(total)), expected, atol=1e-9), row["table"]
        checked += 1
    assert checked > 100


def dense_components(table) -> np.ndarray | None:
    n = table.size
    of_items = np.eye(table.item_number)[table.items]
    of_raters = np.eye(table.rater_number)[table.raters]
    one = np.ones((n, 1))

    def onto(columns: np.ndarray) -> np.ndarray:
        return columns @ np.linalg.inv(columns.T @ columns) @ columns.T

    forms = [onto(of_items) - onto(one), onto(of_raters) - onto(one), np.eye(n) - onto(one)]
    parts = [of_items @ of_items.T, of_raters @ of_raters.T, np.eye(n)]
    equations = np.array([[np.trace(form @ part) for part in parts] for form in forms])
    if abs(np.linalg.det(equations)) < 1e-6:
        return None
    return np.linalg.solve(equations, [table.values @ form @ table.values for form in forms])


def test_within_one_counts_pairs() -> None:
    for cells, _ in TABLES[:200]:
        pairs = [
            abs(a - b) <= 1
            for row in cells
            for i, a in enumerate(row)
            for b in row[i + 1 :]
            if not np.isnan(a) and not np.isnan(b)
        ]
        ours = point(WithinOne(), table_from_matrix(cells))
        assert ours == (pytest.approx(np.mean(pairs), abs=1e-12) if pairs else None)


def test_each_pair_is_listed_with_its_own_kappa() -> None:
    statistic, listed = MeanKappa(fewest=5), 0
    for cells, _ in TABLES[:100]:
        table = table_from_matrix(cells)
        # the matrix's columns without a score have no code
        columns = [column for column in cells.T if not np.isnan(column).all()]
        for pair in statistic.pairs(table):
            both = ~np.isnan(columns[pair.first]) & ~np.isnan(columns[pair.second])
            expected = quadratic_kappa(list(columns[pair.first][both]), list(columns[pair.second][both]))
            assert pair.shared == both.sum()
            assert pair.kappa == (None if expected is None else pytest.approx(expected, abs=CLOSE))
            listed += 1
    assert listed > 200


def test_the_tables_reach_every_level() -> None:
    assert set(chain.from_iterable(row["table"] for row in ROWS)) == set("012345./")
