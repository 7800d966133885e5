"""Many raters claim pairs at once: each pair its overlap of votes, nobody twice; and the check sees the claim's
condition missing."""

import random
import threading
import time
import uuid
from collections import Counter
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection

from scoring.models import PairSlot, Preference
from scoring.services import preferences
from scoring.services.preferences import QUESTIONS, claim_pair, vote
from tests.factories import make_rater, make_study
from tests.scoring.comparisons import make_comparison

pytestmark = pytest.mark.django_db(transaction=True)
OVERLAP, PAGES = 2, 2
LOST = (OperationalError, IntegrityError)
VOTE = dict.fromkeys(QUESTIONS, "left")


class Table:
    """One study before several raters, each with two pages open.

    ``looks``: seconds before she votes. ``refused``: what their pages would have shown.
    """

    def __init__(self, *, raters: int, pairs: int, seconds: float, looks: float = 0) -> None:
        self.study = make_study()
        make_comparison(self.study, pairs, overlap=OVERLAP)
        self.people = [make_rater(self.study) for _ in range(raters)]
        self.until = time.monotonic() + seconds
        self.looks = looks
        self.refused: list[str] = []

    def compare(self) -> None:
        pages = [(person, seed) for seed, person in enumerate(self.people * PAGES)]
        at_once(*(lambda page=page: self._page(*page) for page in pages))

    def _page(self, rater, seed: int) -> None:
        dice = random.Random(seed)
        while time.monotonic() < self.until and not self._is_done():
            slot = tried(lambda: claim_pair(study=self.study, rater=rater))
            if slot is None:
                time.sleep(0.02)
                continue
            time.sleep(self.looks)
            if dice.random() < 0.3:
                at_once(*2 * [lambda slot=slot: self._vote(slot, rater)])
            else:
                self._vote(slot, rater)

    def _vote(self, slot, rater) -> None:
        page_id = uuid.uuid5(slot.public_id, str(rater.public_id))
        try:
            tried(lambda: vote(slot=slot, rater=rater, client_uuid=page_id, choices=VOTE))
        except ValidationError as refused:
            self.refused.append(refused.messages[0])

    def _is_done(self) -> bool:
        return not PairSlot.objects.filter(study=self.study).exclude(state=PairSlot.State.SUBMITTED).exists()


def at_once(*acts) -> None:
    def own_connection(act) -> None:
        try:
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=own_connection, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def tried(act):
    """A lost race is run again, as a page does."""
    for _attempt in range(20):
        try:
            return act()
        except LOST:
            connection.close()
    raise AssertionError("twenty tries broke")


def test_each_pair_gets_its_votes_from_different_raters_and_a_double_click_is_one() -> None:
    table = Table(raters=4, pairs=6, seconds=60)
    table.compare()
    given = Counter(Preference.objects.values_list("slot__pair", "rater"))
    assert Counter(pair for pair, _ in given) == dict.fromkeys({pair for pair, _ in given}, OVERLAP)
    assert len({pair for pair, _ in given}) == 6
    assert set(given.values()) == set(Counter(Preference.objects.values_list("slot", flat=True)).values()) == {1}
    assert table.refused == []


def test_a_page_that_looks_for_hers_leaves_what_her_other_page_took_meanwhile() -> None:
    study = make_study()
    make_comparison(study, 2)
    rater = make_rater(study)
    first = claim_pair(study=study, rater=rater)

    def other_page(study):
        with patch.object(preferences, "_lease_end", lease_end):
            vote(slot=first, rater=rater, client_uuid=uuid.uuid4(), choices=VOTE)
            taken.append(claim_pair(study=study, rater=rater))
        return lease_end(study)

    lease_end, taken = preferences._lease_end, []
    with patch.object(preferences, "_lease_end", side_effect=other_page) as between:
        assert preferences._renew_own(study, rater) is None
    assert between.call_count == 1
    assert taken[0] != first
    vote(slot=taken[0], rater=rater, client_uuid=uuid.uuid4(), choices=VOTE)


def test_the_check_sees_the_claims_condition_missing() -> None:
    """Everybody is given the first slot without a vote, also while another looks at it."""
    table = Table(raters=4, pairs=4, seconds=3, looks=0.1)
    with patch.object(type(PairSlot.objects.all()), "claimable", lambda rows, now: rows.exclude(state="submitted")):
        table.compare()
    assert any("no longer assigned" in words for words in table.refused)
