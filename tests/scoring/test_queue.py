"""The queue: exact slots, under concurrency too."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from scoring.models import Assignment, CaseFlag, RatingDraft
from scoring.services.queue import claim_next, claim_version, enqueue_versions, renew_lease, skip_assignment
from scoring.services.rating_drafts import save_draft
from tests.factories import claim, make_case, make_queue, make_rater, make_study, make_version, rate

pytestmark = pytest.mark.django_db

DRAFT = {"page": "p", "count": 1, "fields": {"accuracy": "4"}}


def test_adding_makes_exactly_the_overlap_and_only_once() -> None:
    study = make_study(overlap=3)
    version = make_version()
    assert enqueue_versions(study=study, versions=[version], actor=None) == 1
    assert enqueue_versions(study=study, versions=[version], actor=None) == 0
    assert Assignment.objects.filter(version=version).count() == 3


def test_a_draft_study_takes_no_narratives() -> None:
    with pytest.raises(ValidationError, match="Start it"):
        enqueue_versions(study=make_study(started=False), versions=[make_version()], actor=None)


def test_next_gives_the_same_slot_until_it_is_done() -> None:
    study = make_study()
    make_queue(study, 2)
    rater = make_rater(study)
    assert claim(study, rater) == claim(study, rater)


def test_a_rater_never_gets_a_version_twice() -> None:
    study = make_study(overlap=3)
    make_queue(study, 2)
    rater = make_rater(study)
    rated = {rate(study, rater).version_id for _ in range(2)}
    assert len(rated) == 2
    assert claim_next(study=study, rater=rater) is None


def test_a_rater_never_gets_her_own_text() -> None:
    study = make_study()
    rater = make_rater(study)
    version = make_version(author_kind="person", author=rater, origin="from_scratch")
    enqueue_versions(study=study, versions=[version], actor=None)
    assert claim_next(study=study, rater=rater) is None


def test_a_rater_only_gets_languages_she_reads() -> None:
    study = make_study()
    make_queue(study, 1, language="zh-hans")
    assert claim_next(study=study, rater=make_rater(study)) is None


def test_higher_priority_comes_first() -> None:
    study = make_study()
    make_queue(study, 5)
    urgent = make_version()
    enqueue_versions(study=study, versions=[urgent], actor=None, priority=9)
    assert claim(study, make_rater(study)).version == urgent


def test_without_consent_there_is_no_case() -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    rater.enrolments.update(accepted_at=None, sheet=None)
    with pytest.raises(ValidationError, match="information sheet"):
        claim_next(study=study, rater=rater)


def test_an_expired_slot_goes_to_another_rater_without_the_first_ones_draft() -> None:
    study = make_study(overlap=1)
    make_queue(study, 1)
    first, second = make_rater(study), make_rater(study)
    slot = claim(study, first)
    save_draft(assignment=slot, rater=first, content=DRAFT, base=0)
    assert claim_next(study=study, rater=second) is None
    Assignment.objects.update(lease_expires=timezone.now() - timedelta(seconds=1))
    assert claim(study, second) == slot
    assert not RatingDraft.objects.filter(rater=second).exists()
    assert not renew_lease(assignment=slot, rater=first)


def test_who_comes_back_after_her_lease_finds_her_draft_under_another_slot() -> None:
    study = make_study(overlap=2)
    make_queue(study, 5)
    first, second = make_rater(study), make_rater(study)
    slot = claim(study, first)
    save_draft(assignment=slot, rater=first, content=DRAFT, base=0)
    Assignment.objects.update(lease_expires=timezone.now() - timedelta(seconds=1))
    assert claim_version(study=study, version=slot.version, rater=second).version == slot.version
    back = claim(study, first)
    assert back.version == slot.version and back != Assignment.objects.get(rater=second)
    assert RatingDraft.objects.get(assignment=back, rater=first).content == DRAFT


def test_a_skipped_version_is_not_offered_again() -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="outside_expertise")
    assert claim_next(study=study, rater=rater) is None
    assert claim(study, make_rater(study))


def test_an_identifying_feature_takes_the_case_out_of_the_queue() -> None:
    study = make_study()
    make_queue(study, 1, case=make_case())
    rater = make_rater(study)
    skip_assignment(assignment=claim(study, rater), rater=rater, reason="identifying")
    assert claim_next(study=study, rater=make_rater(study)) is None
    CaseFlag.objects.update(resolved_at=timezone.now())
    assert claim(study, make_rater(study))


def test_skipping_for_another_reason_needs_words() -> None:
    study = make_study()
    make_queue(study, 1)
    rater = make_rater(study)
    with pytest.raises(ValidationError, match="few words"):
        skip_assignment(assignment=claim(study, rater), rater=rater, reason="other")
