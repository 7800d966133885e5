"""Which text stands left, and what is shown of its author: balanced, kept, scrubbed."""

import itertools
import uuid
from collections import Counter, defaultdict

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Pair, PairSlot, Preference
from scoring.services.comparisons import (
    clear_pair,
    push_identity_words,
    remove_identity_word,
    set_reveal,
    withdraw_pair,
)
from scoring.services.draft_order import DraftConflict
from scoring.services.preferences import (
    arms_shown,
    claim_pair,
    drafted,
    save_pair_draft,
    skip_pair,
    vote,
)
from scoring.services.studies import set_study_state
from scoring.sides import BLOCK, first_is_left
from tests.factories import make_rater, make_study
from tests.scoring.comparisons import all_left, cast, make_comparison


@pytest.fixture
def study(db):
    return make_study()


@pytest.fixture
def rater(study):
    return make_rater(study)


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
