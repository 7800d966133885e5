"""The from-scratch share: who is asked to write, what becomes of her text and of the draft."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from scoring.models import Assignment, NarrativeVersion
from scoring.narrative_format import headed_text, parse
from scoring.services.queue import claim_next
from scoring.services.studies import create_study
from scoring.services.writing import is_drawn, submit_text
from tests.factories import claim, make_case, make_queue, make_rater, make_study

pytestmark = pytest.mark.django_db
PARTS = {
    "findings": "A brown plaque.\nIt is oval.",
    "reasoning": "Even surface, so a keratosis is likely.",
    "diagnosis": "Seborrhoeic keratosis.",
    "advice": "Come back if it changes.",
}
FIELDS = {f"write-{kind}": text for kind, text in PARTS.items()}


@pytest.fixture
def study():
    study = make_study(from_scratch_percent=100, overlap=2)
    make_queue(study, 1)
    return study


@pytest.fixture
def rater(study, client):
    rater = make_rater(study)
    client.force_login(rater)
    return rater


def url(name, slot):
    return reverse(f"rating:{name}", args=[slot.public_id])


def test_she_writes_instead_of_scoring_and_others_score_her_text(client, study, rater) -> None:
    slot = claim(study, rater)
    draft = slot.version
    page = client.get(url("assignment", slot), follow=True)
    assert page.redirect_chain[-1][0] == url("write", slot)
    assert "single brown plaque" not in page.content.decode()
    client.post(url("write", slot), FIELDS)
    hers = NarrativeVersion.objects.get(origin="from_scratch")
    assert hers.author == rater and hers.author_kind == "person" and hers.number == 1
    assert [step["kind"] for step in hers.steps] == ["findings", "findings", "reasoning", "diagnosis", "advice"]
    assert hers.diagnosis == "Seborrhoeic keratosis."
    assert hers.context_given == ["age", "body_site", "sex", "skin_tone"]
    # Two open slots of her text and, as before, two of the draft; neither is ever offered to her.
    assert Assignment.objects.filter(version=hers, state="open").count() == 2
    assert Assignment.objects.filter(version=draft, state="open").count() == 2
    assert claim_next(study=study, rater=rater) is None
    colleague = make_rater(study)
    client.force_login(colleague)
    theirs = claim(study, colleague)
    assert client.get(url("assignment", theirs)).status_code == 200


def test_a_text_without_its_diagnosis_comes_back_with_all_that_was_entered(client, study, rater) -> None:
    slot = claim(study, rater)
    refused = client.post(url("write", slot), FIELDS | {"write-diagnosis": " "})
    assert refused.status_code == 422
    assert "Write at least the diagnosis." in refused.content.decode() and "It is oval." in refused.content.decode()
    assert not NarrativeVersion.objects.filter(origin="from_scratch").exists()
    slot.refresh_from_db()
    assert slot.state == "claimed"


def test_a_draft_of_her_text_is_kept_and_comes_back(client, study, rater) -> None:
    slot = claim(study, rater)
    sent = {"revision": 0, "page": "p", "count": 1, "fields": {"write-findings": "Half a sentence"}}
    kept = client.post(url("draft", slot), sent, content_type="application/json")
    assert kept.status_code == 200
    assert "Half a sentence" in client.get(url("write", slot)).content.decode()


def test_two_who_write_at_once_both_keep_their_text(client, study, rater) -> None:
    first, other = claim(study, rater), make_rater(study)
    second = claim(study, other)
    submit_text(assignment=second, rater=other, parts=PARTS)
    assert client.get(url("write", first)).url == url("assignment", first)
    client.post(url("write", first), FIELDS)
    assert NarrativeVersion.objects.filter(origin="from_scratch").count() == 2


def test_only_her_own_claimed_slot_takes_a_text(study, rater) -> None:
    slot = claim(study, rater)
    with pytest.raises(ValidationError, match="no longer"):
        submit_text(assignment=slot, rater=make_rater(study), parts=PARTS)
    submit_text(assignment=slot, rater=rater, parts=PARTS)
    with pytest.raises(ValidationError, match="no longer"):
        submit_text(assignment=slot, rater=rater, parts=PARTS)
    assert NarrativeVersion.objects.filter(origin="from_scratch").count() == 1


def test_the_share_is_drawn_by_the_seed() -> None:
    study = make_study(from_scratch_percent=30)
    cases = [make_case(image=False) for _ in range(200)]
    drawn = [case for case in cases if is_drawn(study, case)]
    assert 35 <= len(drawn) <= 85
    assert drawn == [case for case in cases if is_drawn(study, case)]
    study.seed += 1
    assert drawn != [case for case in cases if is_drawn(study, case)]
    study.from_scratch_percent = 0
    assert not any(is_drawn(study, case) for case in cases)


def test_a_crossed_study_takes_none() -> None:
    with pytest.raises(ValidationError, match="takes none written from scratch"):
        create_study(actor=None, title="Crossed", crossed=True, from_scratch_percent=10)


def test_a_headed_text_reads_back_into_its_parts() -> None:
    text = headed_text({"diagnosis": "Psoriasis.", "findings": "  Silvery scale. ", "advice": ""})
    assert [(s.kind, text[s.start : s.end]) for s in parse(text).steps] == [
        ("findings", "Silvery scale."),
        ("diagnosis", "Psoriasis."),
    ]
