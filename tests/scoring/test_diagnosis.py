"""Whether a text's final diagnosis names the reference."""

import pytest

from scoring.diagnosis import names_reference
from scoring.verdict import ADJUDICATION, CERTIFIED, REVISION, Conclusion, Policy, decide
from tests.scoring.test_verdict import rating


@pytest.mark.parametrize(
    ("stated", "reference"),
    [
        ("Seborrhoeic keratosis.", "seborrheic keratosis"),
        ("The answer is melanocytic nevus, benign.", "Melanocytic naevus"),
        ("Keratosis, seborrhoeic", "seborrhoeic keratosis"),
        ("Basal-cell carcinomas of the nose", "basal cell carcinoma"),
        ("Lichen planus", "Lichen planus"),
        ("诊断:脂溢性角化病。", "脂溢性角化病"),
    ],
)
def test_it_does(stated, reference) -> None:
    assert names_reference(stated, reference) is True


@pytest.mark.parametrize(
    ("stated", "reference"),
    [("Melanoma.", "seborrhoeic keratosis"), ("Carcinoma.", "basal cell carcinoma"), ("黑色素瘤", "脂溢性角化病")],
)
def test_it_does_not(stated, reference) -> None:
    assert names_reference(stated, reference) is False


@pytest.mark.parametrize(
    ("stated", "reference"), [("", "melanoma"), ("Melanoma.", ""), ("黑色素瘤", "melanoma"), ("Eczema.", "of the")]
)
def test_it_cannot_be_told(stated, reference) -> None:
    assert names_reference(stated, reference) is None


CONTRARY = Conclusion("Melanoma.", "psoriasis")


def outcome(value: float, conclusion: Conclusion, **settings) -> str:
    policy = Policy(overlap=2, **settings)
    return decide(policy, [rating(1, value), rating(2, value)], frozenset(), (), conclusion).outcome


def test_a_contrary_diagnosis_is_never_averaged_away() -> None:
    assert outcome(5, CONTRARY) == ADJUDICATION
    assert outcome(5, Conclusion("Psoriasis.", "psoriasis")) == CERTIFIED
    assert outcome(5, Conclusion("", "psoriasis")) == CERTIFIED


def test_a_policy_can_leave_the_diagnosis_to_the_raters() -> None:
    assert outcome(5, CONTRARY, diagnosis_veto=False) == CERTIFIED


def test_low_scores_ask_for_revision_whatever_the_diagnosis() -> None:
    assert outcome(3, CONTRARY) == REVISION
