"""Learning to rate: examples that span the scale, a gate, and whom it stops."""

from itertools import product

import pytest
from django.core.exceptions import ValidationError

from scoring.models import CalibrationAnswer, CalibrationAttempt, CalibrationExample, Enrolment, Rating
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.amendments import amend_study
from scoring.services.calibration import answer_example, check_gate, passes, start_attempt
from scoring.services.examples import add_example, lenient_kappa, missing_levels, retire_example
from scoring.services.queue import NotCalibrated, claim_next, enqueue_versions, hold_next
from scoring.services.studies import accept_sheet, invite_rater, start_study
from tests.factories import (
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_rater,
    make_study,
    make_version,
)

pytestmark = pytest.mark.django_db
ROLE = CalibrationExample.Role


def example(rubric, level, role=ROLE.GATE, **scores):
    return add_example(
        rubric=rubric,
        version=make_version(case=make_case(image=False)),
        role=role,
        scores=dict.fromkeys(DIMENSION_KEYS, level) | scores,
        explanations={"accuracy": f"A {level} because of the margin."},
        actor=None,
    )


@pytest.fixture
def study():
    draft = make_study(started=False, gate_kappa=0.6)
    for level in LEVELS:
        example(draft.rubric, level)
    return start_study(study=draft, actor=None)


def walk(study, rater, answer) -> CalibrationAttempt:
    """One attempt, each example answered by `answer(agreed scores)`."""
    attempt = start_attempt(rubric=study.rubric, rater=rater)
    for row in list(attempt.answers.select_related("example")):
        answer_example(answer=row, rater=rater, scores=answer(row.example.scores))
    attempt.refresh_from_db()
    return attempt


def test_before_the_gate_there_is_no_case(study) -> None:
    make_queue(study, 1)
    rater = make_rater(study)
    for ask in (claim_next, hold_next):
        with pytest.raises(NotCalibrated):
            ask(study=study, rater=rater)


def test_who_agrees_gets_through_and_then_has_cases(study) -> None:
    make_queue(study, 1)
    rater = make_rater(study)
    attempt = walk(study, rater, lambda agreed: dict(agreed))
    assert set(attempt.kappas.values()) == {1.0}
    assert claim_next(study=study, rater=rater) is not None


def test_who_only_answers_four_or_five_never_gets_through(study) -> None:
    """Every way of doing it, on examples that show each level once; and all together as the gate's own bound."""
    agreed = list(LEVELS)
    rater = make_rater(study)
    attempt = walk(study, rater, lambda scores: dict.fromkeys(DIMENSION_KEYS, 4 if scores["accuracy"] < 3 else 5))
    assert not passes(attempt, study.gate_kappa)
    assert Enrolment.objects.get(rater=rater).calibrated_at is None
    from scoring.weighted_kappa import quadratic_kappa

    kappas = [quadratic_kappa(agreed, answers) for answers in product((4, 5), repeat=len(agreed))]
    assert len(kappas) == 64 and max(k for k in kappas if k is not None) < 0.3 < study.gate_kappa


def test_one_weak_dimension_is_enough_to_fail(study) -> None:
    rater = make_rater(study)
    attempt = walk(study, rater, lambda agreed: dict(agreed) | {"safety": 5})
    assert (attempt.kappas["accuracy"], attempt.kappas["safety"]) == (1.0, pytest.approx(0))
    assert Enrolment.objects.get(rater=rater).calibrated_at is None


def test_a_second_attempt_shows_unseen_examples_first(study) -> None:
    for level in LEVELS:
        example(study.rubric, level)
    rater = make_rater(study)
    first = walk(study, rater, lambda _: dict.fromkeys(DIMENSION_KEYS, 5))
    second = start_attempt(rubric=study.rubric, rater=rater)
    assert second.number == 2
    shown = [set(attempt.answers.values_list("example", flat=True)) for attempt in (first, second)]
    assert not shown[0] & shown[1]
    assert not second.answers.filter(seen_before=True).exists()
    walk(study, rater, lambda _: dict.fromkeys(DIMENSION_KEYS, 5))
    third = start_attempt(rubric=study.rubric, rater=rater)
    assert not third.answers.filter(seen_before=False).exists()
    assert start_attempt(rubric=study.rubric, rater=rater) == third


def test_the_first_answer_stands(study) -> None:
    rater = make_rater(study)
    row = start_attempt(rubric=study.rubric, rater=rater).answers.first()
    answer_example(answer=row, rater=rater, scores=dict.fromkeys(DIMENSION_KEYS, 1))
    answer_example(answer=row, rater=rater, scores=dict.fromkeys(DIMENSION_KEYS, 5))
    assert CalibrationAnswer.objects.get(pk=row.pk).scores["safety"] == 1


@pytest.mark.parametrize("value", [None, 6, -1, 2.5, "3"])
def test_an_answer_is_a_level_on_each_dimension(study, value) -> None:
    rater = make_rater(study)
    row = start_attempt(rubric=study.rubric, rater=rater).answers.first()
    with pytest.raises(ValidationError) as refused:
        answer_example(answer=row, rater=rater, scores=dict.fromkeys(DIMENSION_KEYS, 3) | {"safety": value})
    assert set(refused.value.message_dict) == {"safety"}


def test_passing_once_opens_the_next_study_under_the_same_rubric(study) -> None:
    rater = make_rater(study)
    walk(study, rater, lambda agreed: dict(agreed))
    other = make_study(gate_kappa=0.7)
    invite_rater(study=other, rater=rater, actor=None)
    statement = {
        "qualification": "D",
        "years_experience": 1,
        "country": "Peru",
        "conflicts": "none",
        "languages": ["en"],
    }
    accept_sheet(study=other, rater=rater, sheet_version=1, **statement)
    assert Enrolment.objects.get(rater=rater, study=other).calibrated_at is not None


def test_calibration_leaves_no_rating(study) -> None:
    walk(study, make_rater(study), lambda agreed: dict(agreed))
    assert not Rating.objects.exists()


def test_a_gate_needs_every_level_on_every_dimension() -> None:
    study = make_study(started=False, gate_kappa=0.6)
    for level in LEVELS[:5]:
        example(study.rubric, level)
    with pytest.raises(ValidationError, match="Accuracy 5; Safety 5"):
        start_study(study=study, actor=None)
    assert missing_levels(CalibrationExample.objects.all())["safety"] == [5]
    example(study.rubric, 5, safety=4)
    with pytest.raises(ValidationError, match="Still missing: Safety 5"):
        check_gate(study)


def test_a_gate_that_leniency_passes_is_refused() -> None:
    study = make_study()
    for level in (0, 1, 2, 3, *[4] * 12, *[5] * 12):
        example(study.rubric, level)
    reached = lenient_kappa(CalibrationExample.objects.all())
    assert reached > 0.3
    with pytest.raises(ValidationError, match="only ever answers 4 or 5"):
        amend_study(
            study=study, actor=make_administrator(), reason="A gate.", changes={"gate_kappa": round(reached, 2) - 0.01}
        )


def test_an_example_is_never_in_a_queue_and_the_other_way_round(study) -> None:
    gold = CalibrationExample.objects.first()
    with pytest.raises(ValidationError, match="calibration examples"):
        enqueue_versions(study=study, versions=[gold.version, make_version()], actor=None)
    (queued,) = make_queue(study, 1)
    scores = dict.fromkeys(DIMENSION_KEYS, 3)
    with pytest.raises(ValidationError, match="in a queue"):
        add_example(rubric=study.rubric, version=queued, role="gold", scores=scores, explanations={}, actor=None)
    retire_example(example=gold, actor=None)
    with pytest.raises(ValidationError, match="already"):
        retire_example(example=gold, actor=None)


def test_an_outsider_cannot_answer_for_her(study) -> None:
    rater, other = make_rater(study), make_dermatologist()
    row = start_attempt(rubric=study.rubric, rater=rater).answers.first()
    answer_example(answer=row, rater=other, scores=dict.fromkeys(DIMENSION_KEYS, 1))
    assert CalibrationAnswer.objects.get(pk=row.pk).scores is None
