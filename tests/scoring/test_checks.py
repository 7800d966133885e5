"""Silent gold and repeats: in the live queue, and in nothing that counts."""

import pytest
from django.core.exceptions import ValidationError

from scoring.models import Assignment, CalibrationExample, Certification, NarrativeVersion, Rating
from scoring.rubric import DIMENSION_KEYS
from scoring.services import checks
from scoring.services.certification import live_ratings
from scoring.services.examples import add_example
from scoring.services.queue import claim_next, hold_next, skip_assignment
from tests.factories import claim, make_case, make_queue, make_rater, make_study, make_version, rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def each_turn(monkeypatch):
    """A check whenever there is a text for one, instead of at drawn turns."""
    monkeypatch.setattr(checks, "_percent", lambda _: 0.0)


def gold(study, number=1):
    for _ in range(number):
        add_example(
            rubric=study.rubric,
            version=make_version(case=make_case(image=False)),
            role=CalibrationExample.Role.GOLD,
            scores=dict.fromkeys(DIMENSION_KEYS, 4),
            explanations={},
            actor=None,
        )


def with_gold(number=3, **fields):
    draft = make_study(started=False)
    gold(draft, number)
    return make_study(gold_percent=50, **fields)


def served(study, rater):
    found = []
    while (slot := claim_next(study=study, rater=rater)) is not None:
        found.append(slot.purpose)
        rate(study, rater)
    return found


def test_gold_is_served_among_the_live_ones_once_each(each_turn) -> None:
    study = with_gold()
    make_queue(study, 12)
    purposes = served(study, make_rater(study))
    assert purposes.count("live") == 12
    assert purposes.count("gold") == 3


def test_gold_and_repeats_are_never_certified_nor_counted(monkeypatch, each_turn) -> None:
    monkeypatch.setattr(checks, "REPEAT_AFTER", 1)
    study = with_gold(number=2, overlap=1, repeat_percent=0)
    make_queue(study, 8)
    served(study, make_rater(study))
    repeating = make_study(overlap=1, repeat_percent=50)
    versions = make_queue(repeating, 12)
    purposes = served(repeating, make_rater(repeating))
    assert purposes.count("live") == 12 and purposes.count("repeat") > 0
    examples = NarrativeVersion.objects.filter(examples__isnull=False)
    assert Rating.objects.filter(version__in=examples).count() == 2
    assert not Certification.objects.filter(version__in=examples).exists()
    assert not NarrativeVersion.objects.certified().filter(pk__in=examples).exists()
    assert all(len(live_ratings(repeating, version)) == 1 for version in versions)
    counted = Certification.ratings.through.objects.values_list("rating__purpose", flat=True)
    assert set(counted) == {"live"}
    assert Rating.objects.live().count() == 20


def test_a_repeat_comes_late_enough_and_only_once(monkeypatch, each_turn) -> None:
    monkeypatch.setattr(checks, "REPEAT_AFTER", 3)
    study = make_study(overlap=1, repeat_percent=50)
    make_queue(study, 15)
    served(study, make_rater(study))
    repeats = Assignment.objects.filter(purpose="repeat")
    assert repeats.count() == repeats.values("version").distinct().count() > 0
    for again in repeats:
        first = Assignment.objects.get(version=again.version, purpose="live")
        assert again.sequence - first.sequence > 3


def test_a_check_can_be_fetched_ahead_and_is_hers_then(each_turn) -> None:
    study = with_gold()
    make_queue(study, 2)
    rater = make_rater(study)
    claim(study, rater)
    ahead = hold_next(study=study, rater=rater)
    rate(study, rater)
    assert claim(study, rater) == ahead
    assert ahead.purpose == "gold"


def test_the_turns_come_at_the_stated_share() -> None:
    drawn = [checks._percent(f"42:{rater}:{turn}") for rater in range(50) for turn in range(100)]
    for percent in (5, 20, 50):
        assert abs(100 * sum(one < percent for one in drawn) / len(drawn) - percent) < 2


def test_a_skipped_check_is_closed_not_opened_for_others(each_turn) -> None:
    study = with_gold()
    make_queue(study, 2)
    rater = make_rater(study)
    slot = claim(study, rater)
    assert slot.purpose == "gold"
    skip_assignment(assignment=slot, rater=rater, reason="outside_expertise")
    slot.refresh_from_db()
    assert slot.state == "closed"
    assert claim(study, rater).version != slot.version


def test_a_study_without_checks_has_none(each_turn) -> None:
    study = make_study()
    gold(study)
    make_queue(study, 6)
    assert set(served(study, make_rater(study))) == {"live"}


def test_silent_gold_needs_examples() -> None:
    with pytest.raises(ValidationError, match="gold examples first"):
        make_study(gold_percent=10)
