"""Her own diagnosis first: until she has given it, no page of hers carries a word of the text."""

import json
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from scoring.models import OwnDiagnosis, Rating, RatingDraft
from scoring.rubric import DIMENSION_KEYS
from scoring.services.own_diagnoses import state_diagnosis
from scoring.services.queue import hold_next
from scoring.services.ratings import ScoreInput, submit_rating
from scoring.services.reveals import record_reveal
from scoring.services.studies import create_study
from tests.factories import NARRATIVE, claim, make_case, make_queue, make_rater, make_study

pytestmark = pytest.mark.django_db
CANARY = "canaryword"
TEXT = NARRATIVE.replace("regular border", f"{CANARY} border")
OWN = {"own-diagnosis": " Basal cell  carcinoma ", "own-confidence": "probable"}


@pytest.fixture
def study():
    study = make_study(own_diagnosis_first=True, overlap=1)
    make_queue(study, 3, text=TEXT)
    return study


@pytest.fixture
def rater(study, client):
    rater = make_rater(study)
    client.force_login(rater)
    return rater


def url(name, slot):
    return reverse(f"rating:{name}", args=[slot.public_id])


def scored(slot, **more):
    return {**dict.fromkeys(DIMENSION_KEYS, "4"), "client_uuid": str(uuid.uuid4()), **more}


def test_the_text_waits_for_her_diagnosis(client, study, rater) -> None:
    slot = claim(study, rater)
    asked = client.get(url("assignment", slot), follow=True)
    assert asked.redirect_chain[-1][0] == url("diagnosis", slot)
    assert "Before you see the text" in asked.content.decode()
    assert CANARY not in asked.content.decode() and "eborrhoeic" not in asked.content.decode()
    for name in ("revise", "assignment"):
        assert client.get(url(name, slot)).url == url("diagnosis", slot)
    shown = client.post(url("diagnosis", slot), OWN, follow=True)
    assert CANARY in shown.content.decode()
    kept = OwnDiagnosis.objects.get()
    assert (kept.diagnosis, kept.confidence, kept.rater) == ("Basal cell carcinoma", "probable", rater)
    assert kept.case == slot.case and not kept.informed


def test_no_score_is_taken_before_it(client, study, rater) -> None:
    slot = claim(study, rater)
    assert client.post(url("assignment", slot), scored(slot)).url == url("diagnosis", slot)
    assert not Rating.objects.exists()
    client.post(url("diagnosis", slot), OWN)
    client.post(url("assignment", slot), scored(slot))
    assert Rating.objects.count() == 1


def test_the_service_itself_takes_no_score_before_it(study, rater) -> None:
    slot, scores = claim(study, rater), {key: ScoreInput(4.0) for key in DIMENSION_KEYS}
    with pytest.raises(ValidationError, match="before you score"):
        submit_rating(assignment=slot, rater=rater, client_uuid=uuid.uuid4(), scores=scores)
    slot.refresh_from_db()
    assert slot.state == "claimed" and not Rating.objects.exists()
    state_diagnosis(assignment=slot, rater=rater, diagnosis="Melanoma", confidence="certain")
    assert submit_rating(assignment=slot, rater=rater, client_uuid=uuid.uuid4(), scores=scores).pk


def test_what_she_has_half_typed_is_kept_until_she_gives_it(client, study, rater) -> None:
    slot = claim(study, rater)
    draft = {
        "revision": 0,
        "page": "p",
        "count": 1,
        "fields": {"own-diagnosis": "Basal c", "own-confidence": "probable"},
    }
    assert client.post(url("draft", slot), draft, content_type="application/json").status_code == 200
    shown = client.get(url("diagnosis", slot)).content.decode()
    assert 'value="Basal c"' in shown and 'value="probable" checked' in shown and CANARY not in shown
    client.post(url("diagnosis", slot), OWN)
    assert RatingDraft.objects.get().content["fields"] == {}


def test_nothing_of_the_next_text_is_fetched_early(client, study, rater) -> None:
    slot = claim(study, rater)
    client.post(url("diagnosis", slot), OWN)
    ahead = client.get(url("ahead", slot))
    assert json.loads(ahead.content) == {"ahead": None}
    sent = client.post(url("assignment", slot), scored(slot), headers={"X-Requested-With": "fetch"})
    assert CANARY not in sent.content.decode()
    following = client.get(json.loads(sent.content)["go"], follow=True)
    assert "Before you see the text" in following.content.decode()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"own-diagnosis": " ", "own-confidence": "certain"}, "Give your own diagnosis"),
        ({"own-diagnosis": "Melanoma"}, "Say how sure you are"),
        ({"own-diagnosis": "M" * 201, "own-confidence": "certain"}, "at most 200"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_kept(client, study, rater, sent, words) -> None:
    refused = client.post(url("diagnosis", claim(study, rater)), sent)
    assert refused.status_code == 422 and words in refused.content.decode()
    assert CANARY not in refused.content.decode()
    assert not OwnDiagnosis.objects.exists()


def test_the_first_one_stands(study, rater) -> None:
    slot = claim(study, rater)
    state_diagnosis(assignment=slot, rater=rater, diagnosis="Melanoma", confidence="certain")
    again = state_diagnosis(assignment=slot, rater=rater, diagnosis="Naevus", confidence="possible")
    assert again.diagnosis == OwnDiagnosis.objects.get().diagnosis == "Melanoma"
    with pytest.raises(ValidationError, match="no longer"):
        state_diagnosis(assignment=slot, rater=make_rater(study), diagnosis="Naevus", confidence="possible")


def test_who_knew_the_reference_is_noted(study, rater) -> None:
    slot = claim(study, rater)
    record_reveal(rater=rater, case=slot.case)
    assert state_diagnosis(assignment=slot, rater=rater, diagnosis="Melanoma", confidence="certain").informed


def test_a_second_text_of_the_case_asks_no_more(client) -> None:
    study, case = make_study(own_diagnosis_first=True, overlap=1), make_case()
    make_queue(study, 2, case=case, text=TEXT)
    rater = make_rater(study)
    client.force_login(rater)
    slot = claim(study, rater)
    client.post(url("diagnosis", slot), OWN)
    held = hold_next(study=study, rater=rater)
    assert held is not None and CANARY in client.get(url("ahead", slot)).content.decode()


def test_other_studies_do_not_ask(client) -> None:
    study = make_study()
    make_queue(study, 1, text=TEXT)
    rater = make_rater(study)
    client.force_login(rater)
    slot = claim(study, rater)
    assert CANARY in client.get(url("assignment", slot)).content.decode()
    assert client.get(url("diagnosis", slot)).url == url("assignment", slot)


def test_it_cannot_be_asked_where_the_reference_is_always_shown() -> None:
    with pytest.raises(ValidationError, match="always shown the reference"):
        create_study(actor=None, title="Both", own_diagnosis_first=True, reveal="always")
