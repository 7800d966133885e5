"""The confusion table against counts by hand, and what is undefined, missed by all, or of one patient."""

import numpy as np
import pytest
from scipy.stats import hmean

from scoring.confusion import NOTHING_READ, ONE_CLUSTER, Named, confusion
from scoring.wilson import wilson


def named(*pairs: tuple[str, str | None]) -> list[Named]:
    return [Named(label, answer, number) for number, (label, answer) in enumerate(pairs)]


def by_label(found):
    return {one["label"]: one for one in found["classes"]}


@pytest.mark.parametrize("seed", range(20))
def test_every_figure_equals_a_count_by_hand(seed):
    """Precision and recall counted answer by answer, F1 their harmonic mean."""
    random = np.random.default_rng(seed)
    labels = ["acne", "eczema", "melanoma", "psoriasis"]
    truth = [*labels, *random.choice(labels, 56)]
    said = [*labels, *(random.choice(labels) if random.random() < 0.5 else label for label in truth[4:])]
    pairs = list(zip(truth, said, strict=True))
    found = confusion(named(*pairs), labels, resamples=50)
    assert sum(cell["n"] for cell in found["cells"]) == found["read"] == 60
    assert all(cell["n"] == pairs.count((cell["label"], cell["named"])) for cell in found["cells"])
    means = {"sensitivity": [], "ppv": [], "f1": []}
    for label in labels:
        of_label, as_label = [b for a, b in pairs if a == label], [a for a, b in pairs if b == label]
        recall, precision = of_label.count(label) / len(of_label), as_label.count(label) / len(as_label)
        for name, value in zip(means, (recall, precision, hmean([recall, precision])), strict=True):
            assert by_label(found)[label][name]["mean"] == pytest.approx(value, abs=1e-12)
            means[name].append(value)
    for name, values in means.items():
        one = found["macro"][name]
        assert one["mean"] == pytest.approx(np.mean(values), abs=1e-12) and one["n"] == 4
        assert one["low"] <= one["mean"] <= one["high"]


def test_each_share_has_its_own_denominator():
    """Of ten: melanoma 3 of 4 found, one nevus taken for it, one named no class."""
    found = confusion(
        named(*[("melanoma", "melanoma")] * 3, ("melanoma", None), ("nevus", "melanoma"), *[("nevus", "nevus")] * 5),
        ["melanoma", "nevus"],
    )
    one = by_label(found)["melanoma"]
    assert (one["tp"], one["fn"], one["fp"], one["tn"]) == (3, 1, 1, 5)
    assert one["sensitivity"] == wilson(3, 4) and one["specificity"] == wilson(5, 6)
    assert one["ppv"] == wilson(3, 4) and one["npv"] == wilson(5, 6)
    assert {"label": "melanoma", "named": None, "n": 1} in found["cells"] and found["read"] == 10


def test_a_class_that_was_never_answered_has_no_ppv_and_counts_in_no_mean_of_it():
    found = confusion(named(("a", "b"), ("b", "b"), ("b", "b")), "ab")
    assert by_label(found)["a"]["ppv"]["mean"] is None and by_label(found)["a"]["f1"]["mean"] == 0
    assert (found["macro"]["ppv"]["n"], found["macro"]["ppv"]["mean"]) == (1, pytest.approx(2 / 3))
    assert (found["macro"]["sensitivity"]["n"], found["macro"]["sensitivity"]["mean"]) == (2, 0.5)


def test_nothing_read_is_unknown_and_not_0():
    found = confusion([], ["a", "b"])
    assert (found["read"], found["cells"]) == (0, [])
    assert {one[name]["mean"] for one in found["classes"] for name in ("sensitivity", "ppv", "f1")} == {None}
    assert {(one["mean"], one["reason"]) for one in found["macro"].values()} == {(None, NOTHING_READ)}


def test_one_patient_has_no_interval():
    found = confusion([Named("a", "a", 1), Named("b", "a", 1)], "ab")
    assert {one["reason"] for one in found["macro"].values()} == {ONE_CLUSTER}


def test_the_interval_covers_the_truth():
    """Three classes of equal size, each answered rightly with its own chance, else one of the other two alike."""
    random, covered, shares = np.random.default_rng(5), 0, (0.6, 0.7, 0.8)
    wrong = [(1 - share) / 2 for share in shares]
    answered = [share + sum(wrong) - wrong[at] for at, share in enumerate(shares)]
    truth = np.mean([2 * share / (1 + all_of) for share, all_of in zip(shares, answered, strict=True)])
    for _ in range(200):
        rows = []
        for at, share in enumerate(shares):
            said = random.choice(3, 60, p=[share if to == at else wrong[at] for to in range(3)])
            rows += [("abc"[at], "abc"[to]) for to in said]
        found = confusion(named(*rows), "abc", resamples=400)["macro"]["f1"]
        covered += found["low"] <= truth <= found["high"]
    assert 180 <= covered <= 199
