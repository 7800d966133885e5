"""Blind comparisons: exact slots, balanced sides, locked votes, words that must not be seen."""

import itertools
import uuid
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from scoring.models import CaseFlag, Pair, PairSlot, Preference, PreferenceChoice
from scoring.services.comparisons import (
    clear_pair,
    create_comparison,
    enqueue_pairs,
    push_identity_words,
    remove_identity_word,
    set_reveal,
    withdraw_pair,
)
from scoring.services.draft_order import DraftConflict
from scoring.services.preferences import (
    QUESTIONS,
    arms_shown,
    claim_pair,
    drafted,
    renew_pair,
    save_pair_draft,
    skip_pair,
    vote,
)
from scoring.services.studies import set_study_state
from scoring.sides import BLOCK, first_is_left
from tests.factories import make_case, make_rater, make_study, make_version


@pytest.fixture
def study(db):
    return make_study()


@pytest.fixture
def rater(study):
    return make_rater(study)


def make_comparison(study, count=3, *, overlap=1, texts=None, **fields):
    comparison = create_comparison(
        study=study, actor=None, **({"first_arm": "A", "second_arm": "B", "overlap": overlap} | fields)
    )
    pairs = []
    for number in range(count):
        case = make_case(image=False)
        first, second = (texts or ("Plaque {n}. Psoriasis.", "Papule {n}. Lichen planus."))[:2]
        pairs.append(tuple(make_version(case=case, text=text.format(n=number)) for text in (first, second)))
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)
    return comparison


def all_left(**changes):
    return dict.fromkeys(QUESTIONS, "left") | changes


def cast(study, rater, **changes):
    slot = claim_pair(study=study, rater=rater)
    assert slot is not None
    return vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(**changes))


def test_each_pair_gets_its_overlap_of_votes_and_no_rater_two(study) -> None:
    comparison = make_comparison(study, 3, overlap=2)
    raters = [make_rater(study) for _ in range(3)]
    for rater in raters:
        while claim_pair(study=study, rater=rater):
            cast(study, rater)
    votes = Preference.objects.all()
    assert Counter(v.slot.pair_id for v in votes) == {pair.pk: 2 for pair in comparison.pairs.all()}
    assert len({(v.rater_id, v.slot.pair_id) for v in votes}) == votes.count() == 6


def test_she_keeps_the_pair_she_holds_and_another_gets_another(study, rater) -> None:
    make_comparison(study, 2)
    mine = claim_pair(study=study, rater=rater)
    assert claim_pair(study=study, rater=rater) == mine
    other = claim_pair(study=study, rater=make_rater(study))
    assert other.pair_id != mine.pair_id
    assert claim_pair(study=study, rater=make_rater(study)) is None


def test_a_lost_lease_goes_to_the_next_and_the_old_vote_is_refused(study, rater) -> None:
    make_comparison(study, 1)
    mine = claim_pair(study=study, rater=rater)
    PairSlot.objects.filter(pk=mine.pk).update(lease_expires=timezone.now() - timedelta(seconds=1))
    colleague = make_rater(study)
    assert claim_pair(study=study, rater=colleague).pk == mine.pk
    assert not renew_pair(slot=mine, rater=rater)
    with pytest.raises(ValidationError, match="no longer assigned"):
        vote(slot=mine, rater=rater, client_uuid=uuid.uuid4(), choices=all_left())
    assert cast(study, colleague)


def test_an_author_a_reader_of_another_language_and_a_skipper_are_not_asked(study, rater) -> None:
    case = make_case(image=False)
    comparison = create_comparison(study=study, actor=None, first_arm="A", second_arm="B")
    mine = make_version(case=case, text="Mine. Eczema.", author_kind="person", author=rater)
    other = make_version(case=case, text="Other. Eczema.")
    german = [make_version(case=case, text=t, language="de") for t in ("Eins.", "Zwei.")]
    skipped = [make_version(case=case, text=t) for t in ("Three.", "Four.")]
    enqueue_pairs(comparison=comparison, pairs=[(mine, other), tuple(german), tuple(skipped)], actor=None)
    slot = claim_pair(study=study, rater=rater)
    assert {slot.left, slot.right} == set(skipped)
    skip_pair(slot=slot, rater=rater, reason="outside_expertise")
    assert claim_pair(study=study, rater=rater) is None
    assert not CaseFlag.objects.exists()


def test_skipping_a_bad_image_takes_the_case_out(study, rater) -> None:
    make_comparison(study, 1)
    slot = claim_pair(study=study, rater=rater)
    with pytest.raises(ValidationError, match="reason"):
        skip_pair(slot=slot, rater=rater, reason="bored")
    with pytest.raises(ValidationError, match="few words"):
        skip_pair(slot=slot, rater=rater, reason="other")
    skip_pair(slot=slot, rater=rater, reason="bad_image", note="blurred")
    assert CaseFlag.objects.get().kind == "bad_image"
    assert claim_pair(study=study, rater=make_rater(study)) is None


def test_a_vote_needs_seven_choices_and_is_locked(study, rater) -> None:
    make_comparison(study, 1)
    slot = claim_pair(study=study, rater=rater)
    with pytest.raises(ValidationError) as refused:
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(safety="", overall=""))
    assert set(refused.value.message_dict) == {"safety", "overall"}
    with pytest.raises(ValidationError) as refused:
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(safety="middle"))
    assert set(refused.value.message_dict) == {"safety"}
    with pytest.raises(ValidationError, match="Unknown dimension: charm"):
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(charm="left"))
    sent = uuid.uuid4()
    given = vote(slot=slot, rater=rater, client_uuid=sent, choices=all_left(safety="tie"))
    assert vote(slot=slot, rater=rater, client_uuid=sent, choices=all_left()) == given
    with pytest.raises(ValidationError, match="a vote is locked"):
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left(safety="right"))
    assert dict(given.choices.values_list("dimension", "choice")) == all_left(safety="tie")


def test_no_way_leads_to_a_changed_vote(study, rater) -> None:
    make_comparison(study, 1)
    given = cast(study, rater)
    for change in (
        lambda: given.save(),
        lambda: given.delete(),
        lambda: Preference.objects.update(comment="x"),
        lambda: Preference.objects.filter(pk=given.pk).delete(),
        lambda: PreferenceChoice.objects.filter(preference=given).update(choice="right"),
        lambda: given.choices.first().save(),
    ):
        with pytest.raises(TypeError, match="locked"):
            change()
    copy = Preference(
        study=study,
        case=given.case,
        left=given.right,
        right=given.left,
        rater=rater,
        origin="blind",
        slot=given.slot,
        client_uuid=uuid.uuid4(),
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        PreferenceChoice.objects.create(preference=given, dimension="safety", choice="right")


def test_a_voted_slot_cannot_lose_its_rater(study, rater) -> None:
    make_comparison(study, 1)
    given = cast(study, rater)
    with pytest.raises(IntegrityError), transaction.atomic():
        PairSlot.objects.filter(pk=given.slot_id).update(rater=None)


def test_a_draft_keeps_its_sides_when_the_sides_change(study, rater) -> None:
    make_comparison(study, 1)
    slot = claim_pair(study=study, rater=rater)

    def save(fields, count=1, base=0, page="p"):
        save_pair_draft(slot=slot, rater=rater, content={"fields": fields, "page": page, "count": count}, base=base)

    save({"safety": "left", "accuracy": "tie", "comment": "left"}, count=2)
    save({"safety": "right"}, count=1)
    fields = {"safety": "left", "accuracy": "tie", "comment": "left"}
    assert drafted(slot=slot, rater=rater) == ({"fields": fields, "page": "p", "count": 2}, 1)
    with pytest.raises(DraftConflict) as newer:
        save({"safety": "right"}, page="another")
    assert (newer.value.revision, newer.value.content["fields"]) == (1, fields)
    PairSlot.objects.filter(pk=slot.pk).update(first_is_left=not slot.first_is_left)
    slot.refresh_from_db()
    mirrored = {"safety": "right", "accuracy": "tie", "comment": "left"}
    assert drafted(slot=slot, rater=rater)[0]["fields"] == mirrored
    with pytest.raises(ValidationError):
        save({"safety": "best"}, count=3)


def test_sides_are_balanced_within_every_block_and_random_across_raters() -> None:
    longest = Counter()
    first_votes = []
    by_place = defaultdict(int)
    for rater in range(400):
        sides = [
            first_is_left(seed=7, comparison="c", rater=f"rater {rater}", vote=number) for number in range(5 * BLOCK)
        ]
        for start in range(0, len(sides), BLOCK):
            assert sum(sides[start : start + BLOCK]) == BLOCK // 2
        first_votes.append(sides[0])
        for place, side in enumerate(sides):
            by_place[place] += side
        longest[max(len(list(run)) for _, run in itertools.groupby(sides))] += 1
    # 400 fair draws leave 140 to 260 but for one case in 10^8; every place of the sequence is fair, not only the mean.
    assert all(140 < count < 260 for count in by_place.values())
    assert max(longest) <= BLOCK
    again = [first_is_left(seed=7, comparison="c", rater=f"rater {rater}", vote=0) for rater in range(400)]
    assert again == first_votes
    other = [first_is_left(seed=8, comparison="c", rater=f"rater {rater}", vote=0) for rater in range(400)]
    assert 140 < sum(a == b for a, b in zip(first_votes, other, strict=True)) < 260


def test_her_votes_are_balanced_whatever_she_skips(study, rater) -> None:
    make_comparison(study, 3 * BLOCK)
    sides = []
    for number in range(3 * BLOCK):
        slot = claim_pair(study=study, rater=rater)
        if number % 3 == 2:
            skip_pair(slot=slot, rater=rater, reason="outside_expertise")
            continue
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left())
        sides.append(slot.first_is_left)
    assert len(sides) == 2 * BLOCK
    assert sum(sides) == BLOCK


def test_a_text_that_names_its_author_is_scrubbed_or_held_back(study, rater) -> None:
    push_identity_words(study=study, words=["Tiny Model", "canary"], actor=None)
    texts = ("I am tiny-model {n}. Eczema.", "Plaque {n}. Psoriasis.")
    served = make_comparison(study, 1, texts=texts)
    assert served.pairs.get().hits == {"first": ["tiny-model"]}
    assert served.pairs.get().state == Pair.State.OPEN
    held = make_comparison(study, 1, texts=texts, first_arm="C", second_arm="D", on_identity="flag")
    pair = held.pairs.get()
    assert pair.state == Pair.State.FLAGGED
    assert claim_pair(study=study, rater=rater).pair.comparison == served
    cast(study, rater)
    assert claim_pair(study=study, rater=rater) is None
    clear_pair(pair=pair, actor=None)
    assert claim_pair(study=study, rater=rater).pair == pair
    with pytest.raises(ValidationError, match="not held back"):
        withdraw_pair(pair=pair, actor=None)


def test_words_pushed_later_reach_pairs_that_wait_and_pairs_in_hand(study, rater) -> None:
    texts = ("I am tiny-model {n}. Eczema.", "Plaque {n}. Psoriasis.")
    comparison = make_comparison(study, 2, texts=texts, on_identity="flag")
    slot = claim_pair(study=study, rater=rater)
    assert push_identity_words(study=study, words=["Tiny  model", "Tiny model"], actor=None) == 1
    assert push_identity_words(study=study, words=["Tiny model"], actor=None) == 0
    assert set(comparison.pairs.values_list("state", flat=True)) == {"flagged"}
    with pytest.raises(ValidationError, match="taken out"):
        vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=all_left())
    assert claim_pair(study=study, rater=rater) is None
    remove_identity_word(study=study, word="Tiny model", actor=None)
    assert set(comparison.pairs.values_list("state", flat=True)) == {"open"}
    with pytest.raises(ValidationError, match="cannot be looked for"):
        push_identity_words(study=study, words=["—"], actor=None)


def test_pairs_are_of_one_case_and_one_language_and_queued_once(study) -> None:
    comparison = create_comparison(study=study, actor=None, first_arm="A", second_arm="B")
    case = make_case(image=False)
    one, two = make_version(case=case, text="One."), make_version(case=case, text="Two.")
    with pytest.raises(ValidationError, match="same case"):
        enqueue_pairs(comparison=comparison, pairs=[(one, make_version(text="Else."))], actor=None)
    with pytest.raises(ValidationError, match="same language"):
        pairs = [(one, make_version(case=case, text="Zwei.", language="de"))]
        enqueue_pairs(comparison=comparison, pairs=pairs, actor=None)
    assert enqueue_pairs(comparison=comparison, pairs=[(one, two)], actor=None) == 1
    assert enqueue_pairs(comparison=comparison, pairs=[(one, two)], actor=None) == 0
    with pytest.raises(ValidationError):
        create_comparison(study=study, actor=None, first_arm="A", second_arm="A")


@pytest.mark.parametrize(
    ("reveal", "before", "after"),
    [("never", False, False), ("when_closed", False, True), ("after_vote", True, True)],
)
def test_arms_are_shown_only_where_the_administrator_allows_it(study, rater, reveal, before, after) -> None:
    comparison = make_comparison(study, 1)
    given = cast(study, rater)
    assert arms_shown(given) is None
    set_reveal(comparison=comparison, reveal=reveal, actor=None)
    sides = ("A", "B") if given.slot.first_is_left else ("B", "A")
    assert arms_shown(Preference.objects.get()) == (sides if before else None)
    set_study_state(study=study, actor=None, state="closed")
    assert arms_shown(Preference.objects.get()) == (sides if after else None)


def test_a_study_that_does_not_run_gives_no_pair(study, rater) -> None:
    make_comparison(study, 1)
    with pytest.raises(ValidationError, match="information sheet"):
        claim_pair(study=study, rater=make_rater(make_study()))
    set_study_state(study=study, actor=None, state="paused")
    study.refresh_from_db()
    with pytest.raises(ValidationError, match="not running"):
        claim_pair(study=study, rater=rater)
