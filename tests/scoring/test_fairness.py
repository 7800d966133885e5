"""Figures by group: the worst one, the gap and its interval, and groups that are too small."""

import numpy as np
import pytest
from scipy.stats import t, ttest_ind

from scoring.fairness import LEAST, NO_ERROR, ONE_GROUP, TOO_FEW, by_group
from scoring.intervals import mean_interval

RANDOM = np.random.default_rng(11)
FIVE = (0.0, 5.0)


def sample(**groups: tuple[int, float]):
    values, names = [], []
    for name, (count, mean) in groups.items():
        values += np.clip(RANDOM.normal(mean, 0.6, count), 0, 5).tolist()
        names += [name] * count
    return values, names


def figures(values, names, clusters=None):
    return by_group(values, names, range(len(values)) if clusters is None else clusters, scale=FIVE)


def test_the_worst_group_and_its_gap_are_welch_s():
    values, names = sample(light=(80, 3.6), medium=(60, 3.4), dark=(40, 2.6))
    found = figures(values, names)
    assert found["worst"] == "dark" and [row["group"] for row in found["groups"]] == ["dark", "light", "medium"]
    light, dark = (np.array(values)[np.array(names) == name] for name in ("light", "dark"))
    error = ttest_ind(light, dark, equal_var=False)
    expected = light.mean() - dark.mean()
    reach = t.ppf(0.975, len(dark) - 1) * expected / error.statistic
    gap = found["gap"]
    assert gap["mean"] == pytest.approx(expected, abs=1e-12)
    assert (gap["low"], gap["high"]) == pytest.approx((expected - reach, expected + reach), abs=1e-9)
    assert found["groups"][0] == {"group": "dark", **mean_interval(dark.tolist(), scale=FIVE).as_dict()}


def test_few_values_say_nothing_and_are_never_the_worst():
    values, names = sample(light=(40, 3.5), medium=(40, 3.2), dark=(LEAST - 1, 0.5))
    found = figures(values, names)
    assert found["groups"][0] == {
        "group": "dark",
        "n": 29,
        "mean": None,
        "low": None,
        "high": None,
        "reason": TOO_FEW,
    }
    assert found["worst"] == "medium"


def test_one_group_has_no_gap():
    found = figures(*sample(light=(40, 3.5), dark=(5, 3.0)))
    assert (found["worst"], found["gap"]) == (None, {"mean": None, "low": None, "high": None, "reason": ONE_GROUP})
    assert figures([], [])["groups"] == []


def test_without_spread_there_is_a_gap_and_no_interval():
    found = figures([3.0] * 30 + [4.0] * 30, ["a"] * 30 + ["b"] * 30)
    assert found["gap"] == {"mean": 1.0, "low": None, "high": None, "reason": NO_ERROR} and found["worst"] == "a"


def test_copies_of_a_patient_are_no_more_evidence():
    values, names = sample(light=(40, 3.5), dark=(40, 3.0))
    once = figures(values, names)["gap"]
    owners = np.repeat(np.arange(80), 6).tolist()
    copied = figures(np.repeat(values, 6).tolist(), np.repeat(names, 6).tolist(), owners)["gap"]
    assert (copied["low"], copied["high"]) == pytest.approx((once["low"], once["high"]), abs=1e-9)
