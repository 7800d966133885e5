"""Comparing two texts through HTTP: blind by bytes, locked, and only for her who holds the pair."""

import json
import uuid

import pytest
from django.urls import reverse

from modelhub.models import Generation, ModelVersion, PromptVersion, Run
from scoring.identity_words import PLACEHOLDER
from scoring.models import Comparison, Pair, PairDraft, PairSlot, Preference
from scoring.services.comparisons import create_comparison, enqueue_pairs, push_identity_words, set_reveal
from scoring.services.preferences import QUESTIONS, claim_pair
from tests.factories import make_case, make_rater, make_source, make_version

pytestmark = pytest.mark.django_db

CANARIES = ("canary-model", "canary-arm", "canary-run", "canary-source", "canary-key", "canary-diagnosis")


def plant(study, count=2) -> list[PairSlot]:
    """Pairs of two models' texts; the first text of each names its model in passing."""
    source = make_source(name="canary-source", licence="canary-source", basis="canary-source")
    run = Run.objects.create(kind=Run.Kind.GENERATION, title="canary-run", message="canary-run")
    prompt = PromptVersion.objects.create(name="canary-run", number=1, text="canary-run", content_hash="c")
    models = [
        ModelVersion.objects.create(name=f"canary-model-{n}", kind="base", location="canary-run", weights_hash=f"c{n}")
        for n in "ab"
    ]
    comparison = create_comparison(study=study, actor=None, first_arm="canary-arm-a", second_arm="canary-arm-b")
    pairs = []
    for number in range(count):
        case = make_case(source=source, source_key=f"canary-key-{number}", diagnosis="canary-diagnosis")
        texts = (
            f"<think> I, Canary Model {number}, see a plaque. </think><answer> Psoriasis. </answer>",
            "Papule. Wart.",
        )
        versions = [make_version(case=case, text=text) for text in texts]
        for model, version in zip(models, versions, strict=True):
            Generation.objects.create(
                run=run, case=case, model=model, prompt=prompt, version=version, state="done", settings={}
            )
        pairs.append(tuple(versions))
    push_identity_words(study=study, words=["canary-model", "canary-model-a"], actor=None)
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)
    return list(PairSlot.objects.all())


@pytest.fixture
def slot(study, rater):
    plant(study)
    return claim_pair(study=study, rater=rater)


def address(name, slot=None) -> str:
    return reverse(f"preferences:{name}", args=[slot.public_id] if slot else [])


def form(**changes) -> dict[str, str]:
    return dict.fromkeys(QUESTIONS, "left") | changes


def received(answer) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return f"{headers}\n{answer.cookies.output()}\n{answer.content.decode()}".lower()


def leaks(answer) -> list[str]:
    text = received(answer)
    return [canary for canary in (*CANARIES, "canary model") if canary in text]


def test_nothing_that_she_receives_tells_the_arms_apart(page, slot) -> None:
    shown = page.get(address("compare", slot))
    assert shown.status_code == 200
    assert PLACEHOLDER in shown.content.decode()
    answers = [
        shown,
        page.get(address("next"), follow=True),
        page.get(address("mine")),
        page.get(address("skip", slot)),
        page.post(address("skip", slot), {"reason": "bored"}),
        page.post(address("compare", slot), form(safety="")),
        page.post(address("compare", slot), form(), follow=True),
        page.get(address("mine")),
    ]
    assert [leaks(answer) for answer in answers] == [[]] * len(answers)
    ids = [str(value) for pair in Pair.objects.all() for value in (pair.public_id, pair.first.public_id)]
    assert not [value for value in ids for answer in answers if value in received(answer)]


def test_the_check_would_notice_a_leak(page, slot) -> None:
    study = slot.study
    study.identity_words.all().delete()
    assert leaks(page.get(address("compare", slot))) == ["canary model"]


def test_seven_choices_are_a_vote_and_lead_to_the_next_pair(page, rater, slot) -> None:
    answer = page.post(address("compare", slot), form(safety="tie", overall="both_bad", comment=" Hm. "))
    assert answer["Location"] == address("next")
    given = Preference.objects.get()
    assert (given.rater, given.left, given.right, given.comment) == (rater, slot.left, slot.right, "Hm.")
    assert dict(given.choices.values_list("dimension", "choice")) == form(safety="tie", overall="both_bad")
    following = page.get(address("next"))["Location"]
    assert following not in {address("compare", slot), address("next")}
    page.post(following, form())
    assert "No pair waits for you" in page.get(address("next")).content.decode()
    assert page.get(address("mine")).content.decode().count("Both bad") == 1


def test_a_vote_cannot_be_changed(page, slot) -> None:
    page.post(address("compare", slot), form())
    again = page.post(address("compare", slot), form(overall="right", client_uuid=str(uuid.uuid4())))
    assert again.status_code == 422
    assert "a vote is locked" in again.content.decode()
    assert page.get(address("compare", slot))["Location"] == address("mine")
    assert set(Preference.objects.get().choices.values_list("choice", flat=True)) == {"left"}


def test_a_double_click_is_one_vote(page, slot) -> None:
    for _ in range(2):
        assert page.post(address("compare", slot), form()).status_code == 302
    assert Preference.objects.count() == 1


def test_a_refused_vote_comes_back_with_what_was_chosen(page, slot) -> None:
    answer = page.post(address("compare", slot), form(safety="", accuracy="right"))
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="accuracy-right" checked' in " ".join(text.split())
    assert "Choose left, right, tie or both bad." in text


def test_choices_are_kept_as_they_are_made(page, rater, slot) -> None:
    def keep(content) -> int:
        return page.post(address("draft", slot), content, content_type="application/json").status_code

    def draft(count, fields, revision=0, opening="p") -> str:
        return json.dumps({"revision": revision, "page": opening, "count": count, "fields": fields})

    assert keep(draft(1, {"safety": "right", "charm": "left", "comment": "left"})) == 200
    shown = " ".join(page.get(address("compare", slot)).content.decode().split())
    assert 'id="safety-right" checked' in shown and ">left</textarea>" in shown
    newer = page.post(address("draft", slot), draft(1, {}, opening="other"), content_type="application/json")
    kept = {"safety": "right", "comment": "left"}
    assert (newer.status_code, newer.json()) == (409, {"revision": 1, "page": "p", "fields": kept})
    for unreadable in (
        "",
        "[]",
        '{"revision": 1, "fields": {}}',
        '{"revision": true, "count": 2, "fields": {}}',
        '{"revision": 2, "count": 2}',
    ):
        assert keep(unreadable) == 400
    assert keep(draft(2, {"safety": "best"})) == 409
    assert PairDraft.objects.get().revision == 1
    page.post(address("compare", slot), form())
    assert not PairDraft.objects.exists()
    assert keep(draft(3, {})) == 409


def test_a_pair_belongs_to_her_who_holds_it(client, study, slot) -> None:
    client.force_login(make_rater(study))
    for name in ("compare", "skip"):
        assert client.get(address(name, slot)).status_code == 404
        assert client.post(address(name, slot), form()).status_code == 404
    assert client.post(address("draft", slot), "{}", content_type="application/json").status_code == 404
    image = reverse("cases:image", args=[slot.pair.case.images.get().public_id])
    assert client.get(image).status_code == 404


def test_she_sees_the_picture_of_her_pair(page, slot) -> None:
    assert page.get(reverse("cases:image", args=[slot.pair.case.images.get().public_id])).status_code == 200


@pytest.mark.parametrize(("reveal", "shown"), [("never", False), ("after_vote", True)])
def test_arms_are_named_after_the_vote_where_the_administrator_allows_it(page, slot, reveal, shown) -> None:
    set_reveal(comparison=Comparison.objects.get(), reveal=reveal, actor=None)
    assert leaks(page.get(address("compare", slot))) == []
    after = page.post(address("compare", slot), form(), follow=True)
    for answer in (after, page.get(address("mine"))):
        assert leaks(answer) == (["canary-arm"] if shown else [])


def test_a_pair_taken_out_while_she_looks_is_not_shown_again(page, slot) -> None:
    Pair.objects.filter(pk=slot.pair_id).update(state="flagged")
    assert page.get(address("compare", slot))["Location"] == address("next")
    assert page.get(address("next"))["Location"] != address("compare", slot)


def test_sections_of_one_kind_stand_beside_each_other(page, study, rater) -> None:
    case = make_case()
    left = "<think> Red plaque. Psoriasis is likely because of scale. </think><answer> Psoriasis. </answer>"
    right = "<think> White papule. </think><answer> Milium. </answer>"
    comparison = create_comparison(study=study, actor=None, first_arm="a", second_arm="b")
    enqueue_pairs(
        comparison=comparison,
        pairs=[(make_version(case=case, text=left), make_version(case=case, text=right))],
        actor=None,
    )
    rows = page.get(address("next"), follow=True).context["rows"]
    assert [row.kind for row in rows] == ["findings", "reasoning", "diagnosis"]
    assert [bool(row.left) and bool(row.right) for row in rows] == [True, False, True]
