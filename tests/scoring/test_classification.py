"""Right diagnoses: accuracy by both denominators, balanced accuracy, classes, and reading closed labels."""

import numpy as np
import pytest

from scoring.classification import NO_CLASS, ONE_CLUSTER, Answer, classification
from scoring.closed_labels import ClosedLabels
from scoring.wilson import wilson


def answers(**classes: tuple[int, int, int]) -> list[Answer]:
    """By class: right, wrong, not read; every answer of a patient of its own."""
    rows = []
    for label, (right, wrong, unread) in classes.items():
        rows += [(label, True)] * right + [(label, False)] * wrong + [(label, None)] * unread
    return [Answer(label, right, number) for number, (label, right) in enumerate(rows)]


def test_failures_count_in_one_denominator_and_not_in_the_other():
    found = classification(answers(psoriasis=(6, 2, 2)))
    assert (found["expected"], found["judged"], found["right"]) == (10, 8, 6)
    assert found["of_judged"] == wilson(6, 8) and found["of_expected"] == wilson(6, 10)
    assert found["classes"] == [{"label": "psoriasis", "expected": 10, **wilson(6, 8)}]


def test_balanced_accuracy_weighs_classes_alike():
    """90 of 100 of a common class and 1 of 5 of a rare one."""
    found = classification(answers(eczema=(90, 10, 0), melanoma=(1, 4, 0)))
    assert found["of_judged"]["mean"] == pytest.approx(91 / 105)
    assert (found["balanced"]["mean"], found["balanced"]["n"]) == (pytest.approx((0.9 + 0.2) / 2), 2)
    assert found["balanced"]["low"] < 0.55 < found["balanced"]["high"]
    assert [one["label"] for one in found["classes"]] == ["eczema", "melanoma"]


def test_a_class_nobody_could_read_is_listed_and_in_no_mean():
    found = classification(answers(eczema=(5, 5, 0), acne=(0, 0, 3)))
    assert (found["balanced"]["mean"], found["balanced"]["n"]) == (0.5, 1)
    acne = next(one for one in found["classes"] if one["label"] == "acne")
    assert (acne["expected"], acne["n"], acne["mean"]) == (3, 0, None) and acne["reason"]


def test_nothing_read_is_unknown_and_not_0():
    found = classification(answers(eczema=(0, 0, 4)))
    assert (found["of_judged"]["mean"], found["of_expected"]["mean"]) == (None, 0.0)
    assert (found["balanced"]["mean"], found["balanced"]["reason"]) == (None, NO_CLASS)


def test_one_patient_has_no_interval():
    rows = [Answer("a", True, 1), Answer("b", False, 1)]
    assert classification(rows)["balanced"] == {"n": 2, "mean": 0.5, "reason": ONE_CLUSTER, "low": None, "high": None}


def test_the_interval_covers_the_truth():
    random, covered = np.random.default_rng(3), 0
    for _ in range(200):
        right = [random.binomial(60, share) for share in (0.5, 0.7, 0.85)]
        rows = answers(**{name: (k, 60 - k, 0) for name, k in zip("abc", right, strict=True)})
        found = classification(rows, resamples=400)["balanced"]
        covered += found["low"] <= (0.5 + 0.7 + 0.85) / 3 <= found["high"]
    assert 180 <= covered <= 199


class TestClosedLabels:
    labels = ClosedLabels(["psoriasis", "pustular psoriasis", "naevus", "eczema", "银屑病", "湿疹"])

    @pytest.mark.parametrize(
        "stated, label, right",
        [
            ("Psoriasis vulgaris.", "psoriasis", True),
            ("The answer is pustular psoriasis.", "pustular psoriasis", True),
            ("The answer is pustular psoriasis.", "psoriasis", False),
            ("Nevi.", "naevus", False),
            ("Melanocytic nevus", "naevus", True),
            ("Eczema or psoriasis.", "eczema", False),
            ("A lentigo.", "eczema", False),
            ("银屑病。", "银屑病", True),
            ("银屑病。", "湿疹", False),
            ("", "eczema", None),
        ],
    )
    def test_what_is_named(self, stated, label, right):
        assert self.labels.right(stated, label) is right


class TestOnly:
    """Exactly one affirmed label, or none is read: nothing is guessed."""

    labels = ClosedLabels(["melanoma", "nevus", "psoriasis", "pustular psoriasis", "银屑病", "湿疹"])

    @pytest.mark.parametrize(
        ("stated", "label"),
        [
            ("Melanoma.", "melanoma"),
            ("The answer is a naevus", "nevus"),  # the other spelling
            ("Pustular psoriasis", "pustular psoriasis"),  # not the label within it
            ("诊断为银屑病。", "银屑病"),
        ],
    )
    def test_one_that_is_affirmed(self, stated, label):
        assert self.labels.only(stated) == label

    @pytest.mark.parametrize(
        "stated",
        [
            "",
            "A mole.",  # a synonym that shares no word
            "Melanoma or nevus",
            "Nevus, not melanoma",
            "No melanoma",
            "This is not a melanoma.",
            "Non-melanoma",
            "Melanoma cannot be excluded",
            "I'm sorry, but I can't help with that.",
            "不是银屑病",
            "银屑病、湿疹",
        ],
    )
    def test_none_several_denied_or_refused(self, stated):
        assert self.labels.only(stated) is None
