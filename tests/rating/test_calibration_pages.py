"""Learning to rate, as she sees it: the gate stands before the first case, and no answer shows before hers."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import CalibrationAnswer, CalibrationExample, Enrolment, Rating, Reveal
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.examples import add_example
from scoring.services.studies import start_study
from tests.factories import make_case, make_dermatologist, make_queue, make_rater, make_study, make_version

pytestmark = pytest.mark.django_db
ROLE = CalibrationExample.Role
CANARY = "canary-explanation"


def example(rubric, level, role=ROLE.GATE, image=False):
    return add_example(
        rubric=rubric,
        version=make_version(case=make_case(image=image, diagnosis=f"canary disease {level}")),
        role=role,
        scores=dict.fromkeys(DIMENSION_KEYS, level),
        explanations={"accuracy": f"{CANARY} {level}"},
        actor=None,
    )


@pytest.fixture
def study():
    draft = make_study(started=False, gate_kappa=0.6)
    for level in LEVELS:
        example(draft.rubric, level)
    example(draft.rubric, 4, ROLE.WORKED, image=True)
    started = start_study(study=draft, actor=None)
    make_queue(started, 1)
    return started


@pytest.fixture
def rater(study, client):
    rater = make_rater(study)
    client.force_login(rater)
    return rater


def url(name, study, *more):
    return reverse(f"rating:{name}", args=[study.public_id, *more])


def answer_all(client, study, level_of):
    """Scores every example of her round as `level_of(agreed level)` says; returns the last answer's page."""
    page = client.post(url("calibration", study), follow=True)
    while waiting := CalibrationAnswer.objects.filter(answered_at=None, attempt__finished_at=None).first():
        level = level_of(waiting.example.scores["accuracy"])
        address = url("calibration_example", study, waiting.position)
        page = client.post(address, dict.fromkeys(DIMENSION_KEYS, str(level)), follow=True)
        assert page.status_code == 200
    return page.content.decode()


def test_the_gate_stands_before_the_first_case(client, study, rater) -> None:
    shown = client.get(url("study", study), follow=True)
    assert shown.redirect_chain[-1][0] == url("calibration", study)
    assert "above 0.60 on each of the six dimensions" in shown.content.decode()


def test_no_agreed_score_shows_before_she_has_answered(client, study, rater) -> None:
    page = client.post(url("calibration", study), follow=True).content.decode()
    assert "Example 1 of 6" in page
    assert CANARY not in page and "canary disease" not in page
    waiting = CalibrationAnswer.objects.get(position=1)
    assert not Reveal.objects.exists()
    answered = client.post(
        url("calibration_example", study, 1), dict.fromkeys(DIMENSION_KEYS, "3"), follow=True
    ).content.decode()
    assert f"{CANARY} {waiting.example.scores['accuracy']}" in answered
    assert Reveal.objects.get().case == waiting.example.version.narrative.case
    others = [one for one in LEVELS if one != waiting.example.scores["accuracy"]]
    assert not any(f"{CANARY} {level}" in answered for level in others)


def test_examples_come_one_after_the_other(client, study, rater) -> None:
    client.post(url("calibration", study))
    assert client.get(url("calibration_example", study, 4)).url == url("calibration_example", study, 1)
    assert client.get(url("calibration_example", study, 9)).status_code == 404
    assert not Reveal.objects.exists()


def test_she_passes_and_gets_her_first_case(client, study, rater) -> None:
    page = answer_all(client, study, lambda agreed: agreed)
    assert "See the result" in page
    assert "You have passed" in client.get(url("calibration", study)).content.decode()
    assert Enrolment.objects.get(rater=rater).calibrated_at is not None
    first = client.get(url("study", study))
    assert first.url.startswith("/rate/") and "calibration" not in first.url
    assert not Rating.objects.exists()


def test_who_only_gives_4_or_5_is_told_what_happens_next(client, study, rater) -> None:
    answer_all(client, study, lambda agreed: 4 + (agreed > 2))
    page = client.get(url("calibration", study)).content.decode()
    assert "did not reach the level" in page and "Start another round" in page
    assert page.count("not yet") == len(DIMENSION_KEYS)
    assert client.get(url("study", study)).url == url("calibration", study)
    again = client.post(url("calibration", study), follow=True).content.decode()
    assert "Example 1 of 6" in again


def test_a_missing_level_is_named_and_the_others_are_kept(client, study, rater) -> None:
    client.post(url("calibration", study))
    entered = dict.fromkeys(DIMENSION_KEYS, "2") | {"safety": "x", "safety_reason": "other"}
    refused = client.post(url("calibration_example", study, 1), entered)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "Score Safety, 0 to 5." in page
    assert page.count("checked") == len(DIMENSION_KEYS) - 1
    assert CalibrationAnswer.objects.filter(answered_at__isnull=False).count() == 0


def test_the_first_answer_stands(client, study, rater) -> None:
    client.post(url("calibration", study))
    address = url("calibration_example", study, 1)
    client.post(address, dict.fromkeys(DIMENSION_KEYS, "1"))
    client.post(address, dict.fromkeys(DIMENSION_KEYS, "5"))
    assert set(CalibrationAnswer.objects.get(position=1).scores.values()) == {1}


def test_worked_examples_are_shown_with_their_image(client, study, rater) -> None:
    page = client.get(url("calibration_worked", study, 1)).content.decode()
    assert f"{CANARY} 4" in page
    image = CalibrationExample.objects.get(role=ROLE.WORKED).version.narrative.case.images.get()
    assert client.get(reverse("cases:image", args=[image.public_id])).status_code == 200
    assert client.get(url("calibration_worked", study, 2)).status_code == 404
    client.force_login(make_dermatologist())
    assert client.get(reverse("cases:image", args=[image.public_id])).status_code == 404


def test_strangers_find_nothing(client, study, rater) -> None:
    client.force_login(make_dermatologist())
    for address in (
        url("calibration", study),
        url("calibration_example", study, 1),
        url("calibration_worked", study, 1),
    ):
        assert client.get(address).status_code == 404


def test_the_overview_asks_the_database_the_same_however_many_rounds(client, study, rater) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get(url("calibration", study)).status_code == 200
        return len(asked)

    answer_all(client, study, lambda agreed: 5)
    before = queries()
    answer_all(client, study, lambda agreed: 5)
    assert queries() <= before


def test_a_half_given_answer_is_kept_until_she_sends_it(client, study, rater) -> None:
    client.post(url("calibration", study))

    def keep(count, fields, page="p", revision=0):
        draft = {"revision": revision, "page": page, "count": count, "fields": fields}
        return client.post(url("calibration_draft", study, 1), draft, content_type="application/json")

    assert keep(2, {"accuracy": "3", "safety_comment": "Hm."}).json() == {"revision": 1, "held": True}
    assert keep(1, {"accuracy": "1"}).json() == {"revision": 1, "held": True}  # an older save that arrives late
    shown = " ".join(client.get(url("calibration_example", study, 1)).content.decode().split())
    assert 'id="accuracy-3" checked' in shown and 'data-revision="1"' in shown
    newer = keep(1, {"accuracy": "5"}, page="another")
    assert newer.status_code == 409 and newer.json()["fields"]["accuracy"] == "3"
    client.post(url("calibration_example", study, 1), dict.fromkeys(DIMENSION_KEYS, "4"))
    assert keep(3, {"accuracy": "2"}).status_code == 409
    answered = CalibrationAnswer.objects.get(position=1)
    assert (answered.scores["accuracy"], answered.draft) == (4, {})
    assert client.post(url("calibration_draft", study, 99), {}, content_type="application/json").status_code == 404
