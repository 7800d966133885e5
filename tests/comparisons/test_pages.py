"""Blind comparisons as an administrator asks for them, reads them and settles what was held back."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotator.comparisons.results import tallies
from modelhub.models import Generation, ModelVersion, PromptVersion, Run
from modelhub.services.preferences import identity_words_of
from scoring.models import Comparison, Pair, PairSlot
from scoring.services.comparisons import create_comparison, enqueue_pairs
from scoring.services.preferences import QUESTIONS, claim_pair, vote
from tests.factories import make_administrator, make_case, make_rater, make_researcher, make_study, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def models():
    """Two models; the first wrote about three cases, the second about two of them, once saying its name."""
    run = Run.objects.create(kind=Run.Kind.GENERATION, title="run")
    prompt = PromptVersion.objects.create(name="p", number=1, text="p", content_hash="p")
    made = [
        ModelVersion.objects.create(name=name, kind="base", location=f"/models/{place}", weights_hash=place)
        for name, place in (("Lesion Reader 7 (test)", "reader"), ("Plain", "plainmodel"))
    ]
    for number in range(3):
        case = make_case(image=False)
        for model in made[: 1 if number == 2 else 2]:
            name = "I am Lesion-Reader 7. " if number == 0 and model is made[0] else ""
            version = make_version(case=case, text=f"{name}Plaque {number} by {model.pk}. Psoriasis.")
            Generation.objects.create(run=run, case=case, model=model, prompt=prompt, version=version, state="done")
    return made


def terms(study, models, **changes):
    return {
        "study": study.public_id,
        "first_model": models[0].public_id,
        "second_model": models[1].public_id,
        "first_arm": "A",
        "second_arm": "B",
        "overlap": 2,
        "on_identity": "flag",
        "reveal": "never",
    } | changes


def address(name, *args):
    return reverse(f"comparisons:{name}", args=args)


def test_two_models_become_pairs_with_words_to_hide(client, study, models) -> None:
    client.force_login(make_administrator())
    assert client.get(address("create")).status_code == 200
    answer = client.post(address("create"), terms(study, models))
    comparison = Comparison.objects.get()
    assert answer["Location"] == address("detail", comparison.public_id)
    assert sorted(comparison.pairs.values_list("state", flat=True)) == ["flagged", "open"]
    assert PairSlot.objects.count() == 4
    page = client.get(answer["Location"]).content.decode()
    assert "Lesion-Reader 7" in page
    held = comparison.pairs.get(state="flagged")
    client.post(address("settle", comparison.public_id, held.public_id), {"act": "clear"})
    assert set(comparison.pairs.values_list("state", flat=True)) == {"open"}


def test_what_cannot_be_compared_is_refused_in_words(client, study, models) -> None:
    client.force_login(make_administrator())
    same = client.post(address("create"), terms(study, models, second_model=models[0].public_id))
    assert same.status_code == 422
    assert "Choose two different models." in same.content.decode()
    Generation.objects.filter(model=models[1]).delete()
    none = client.post(address("create"), terms(study, models))
    assert "No case has a text by both models" in none.content.decode()
    assert not Comparison.objects.exists()


def test_names_of_models_folders_and_families_are_hidden(models) -> None:
    words = identity_words_of(*models)
    assert {"Lesion Reader 7", "Lesion Reader 7 (test)", "reader", "plainmodel", "GPT-4o", "通义千问"} <= words


def test_words_are_added_and_taken_off(client, study, models) -> None:
    client.force_login(make_administrator())
    client.post(address("create"), terms(study, models))
    comparison = Comparison.objects.get()
    before = study.identity_words.count()
    client.post(address("words", comparison.public_id), {"word": "Plaque"})
    assert study.identity_words.count() == before + 1
    assert set(Pair.objects.values_list("state", flat=True)) == {"flagged"}
    again = client.post(address("words", comparison.public_id), {"word": "Plaque"}, follow=True)
    assert "on the list already" in again.content.decode()
    client.post(address("words", comparison.public_id), {"remove": "Plaque"})
    assert study.identity_words.count() == before
    assert client.post(address("words", comparison.public_id), {"word": ""}).status_code == 422


def test_votes_are_counted_by_arm_whichever_side_it_stood_on(study) -> None:
    comparison = create_comparison(study=study, actor=None, first_arm="A", second_arm="B", overlap=3)
    case = make_case(image=False)
    pair = (make_version(case=case, text="One."), make_version(case=case, text="Two."))
    enqueue_pairs(comparison=comparison, pairs=[pair], actor=None)
    for number in range(3):
        rater = make_rater(study)
        slot = claim_pair(study=study, rater=rater)
        first = "left" if slot.first_is_left else "right"
        second = "right" if slot.first_is_left else "left"
        choices = dict.fromkeys(QUESTIONS, first) | {"safety": second, "accuracy": "tie" if number else "both_bad"}
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=choices)
    found = {row.name: (row.first, row.second, row.tie, row.both_bad) for row in tallies(comparison)}
    assert found["Overall"] == (3, 0, 0, 0)
    assert found["Safety"] == (0, 3, 0, 0)
    assert found["Accuracy"] == (0, 0, 2, 1)


def test_researchers_read_and_do_not_change(client, study, models) -> None:
    client.force_login(make_administrator())
    client.post(address("create"), terms(study, models))
    comparison = Comparison.objects.get()
    client.force_login(make_researcher())
    assert client.get(address("detail", comparison.public_id)).status_code == 200
    assert client.get(address("create")).status_code == 403
    for name in ("reveal", "words"):
        assert client.post(address(name, comparison.public_id), {"word": "x"}).status_code == 403


def test_the_reveal_is_the_administrators(client, study, models) -> None:
    client.force_login(make_administrator())
    client.post(address("create"), terms(study, models))
    comparison = Comparison.objects.get()
    assert client.post(address("reveal", comparison.public_id), {"reveal": "soon"}).status_code == 422
    client.post(address("reveal", comparison.public_id), {"reveal": "when_closed"})
    comparison.refresh_from_db()
    assert comparison.reveal == "when_closed"


def test_queries_do_not_grow_with_the_list(client, study) -> None:
    client.force_login(make_administrator())

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address("list")).status_code == 200
        return len(queries)

    create_comparison(study=study, actor=None, first_arm="A", second_arm="B")
    few = count()
    for number in range(4):
        create_comparison(study=study, actor=None, first_arm="A", second_arm=f"B{number}")
    assert count() == few
