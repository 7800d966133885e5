"""The administrator's side of calibration: agreeing on scores, the levels that lack, the gate."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import CalibrationExample, Study
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.examples import add_example
from tests.factories import (
    make_administrator,
    make_case,
    make_dermatologist,
    make_queue,
    make_researcher,
    make_study,
    make_version,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client):
    user = make_administrator()
    client.force_login(user)
    return user


def url(name, study, *more):
    return reverse(f"study:{name}", args=[study.public_id, *more])


def gate_example(study, level):
    return add_example(
        rubric=study.rubric,
        version=make_version(case=make_case(image=False)),
        role="gate",
        scores=dict.fromkeys(DIMENSION_KEYS, level),
        explanations={},
        actor=None,
    )


def agreed(level, **changes):
    return {"role": "gate", **dict.fromkeys(DIMENSION_KEYS, str(level)), **changes}


def test_a_text_is_found_by_its_case_and_becomes_an_example(client, administrator) -> None:
    study, version = make_study(started=False), make_version()
    found = client.get(url("calibration", study), {"case": version.narrative.case.code}).content.decode()
    address = url("new_example", study, version.public_id)
    assert address in found
    assert client.get(address).status_code == 200
    answer = client.post(address, agreed(2, safety="0", why_safety="Nothing about the mole."))
    assert answer.url == url("calibration", study)
    kept = CalibrationExample.objects.get()
    assert kept.scores["safety"] == 0 and kept.scores["accuracy"] == 2
    assert kept.explanations == {"safety": "Nothing about the mole."}
    assert kept.created_by == administrator
    page = client.get(url("calibration", study)).content.decode()
    assert 'Safety: <span class="num">1, 2, 3, 4, 5</span>' in page


def test_a_missing_level_and_a_queued_text_are_refused(client, administrator) -> None:
    study = make_study()
    (queued,) = make_queue(study, 1)
    refused = client.post(url("new_example", study, queued.public_id), agreed(2, safety=""))
    assert refused.status_code == 422 and "field-error" in refused.content.decode()
    refused = client.post(url("new_example", study, queued.public_id), agreed(2))
    assert "This narrative is in a queue" in refused.content.decode()
    assert not CalibrationExample.objects.exists()


def test_the_gate_is_set_in_a_draft_and_amended_with_a_reason(client, administrator) -> None:
    study = make_study(started=False)
    client.post(url("gate", study), {"gate_kappa": "0.5"})
    assert Study.objects.get().gate_kappa == 0.5
    running = make_study()
    refused = client.post(url("gate", running), {"gate_kappa": "0.5", "reason": "Pilot."})
    assert refused.status_code == 422 and "must show every level" in refused.content.decode()
    for level in LEVELS:
        gate_example(running, level)
    assert "Give the reason" in client.post(url("gate", running), {"gate_kappa": "0.9"}).content.decode()
    assert client.post(url("gate", running), {"gate_kappa": "0.9", "reason": "Pilot."}).status_code == 302
    running.refresh_from_db()
    assert running.gate_kappa == 0.9 and running.amendments.get().reason == "Pilot."


def test_an_example_is_retired(client, administrator) -> None:
    study = make_study()
    one = gate_example(study, 3)
    client.post(url("retire_example", study, one.public_id))
    one.refresh_from_db()
    assert one.retired_at is not None
    assert "retired" in client.get(url("calibration", study)).content.decode()


def test_researchers_read_and_raters_see_nothing(client) -> None:
    study, version = make_study(), make_version()
    one = gate_example(study, 3)
    client.force_login(make_researcher())
    assert client.get(url("calibration", study)).status_code == 200
    assert client.get(url("new_example", study, version.public_id)).status_code == 403
    assert client.post(url("retire_example", study, one.public_id)).status_code == 403
    assert client.post(url("gate", study), {"gate_kappa": "0.5"}).status_code == 403
    client.force_login(make_dermatologist())
    assert client.get(url("calibration", study)).status_code == 403


def test_the_page_asks_the_database_the_same_however_many_examples(client, administrator) -> None:
    study = make_study()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url("calibration", study)).status_code == 200
        return len(asked)

    gate_example(study, 1)
    before = queries()
    for level in (2, 3, 4):
        gate_example(study, level)
    assert queries() == before
