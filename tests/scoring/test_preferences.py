"""Blind comparisons: exact slots, locked votes, one case and one language."""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from scoring.models import CaseFlag, PairSlot, Preference, PreferenceChoice
from scoring.services.comparisons import (
    create_comparison,
    enqueue_pairs,
)
from scoring.services.preferences import (
    claim_pair,
    renew_pair,
    skip_pair,
    vote,
)
from scoring.services.studies import set_study_state
from tests.factories import make_case, make_rater, make_study, make_version
from tests.scoring.comparisons import all_left, cast, make_comparison


@pytest.fixture
def study(db):
    return make_study()


@pytest.fixture
def rater(study):
    return make_rater(study)


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


def test_a_study_that_does_not_run_gives_no_pair(study, rater) -> None:
    make_comparison(study, 1)
    with pytest.raises(ValidationError, match="information sheet"):
        claim_pair(study=study, rater=make_rater(make_study()))
    set_study_state(study=study, actor=None, state="paused")
    study.refresh_from_db()
    with pytest.raises(ValidationError, match="not running"):
        claim_pair(study=study, rater=rater)
