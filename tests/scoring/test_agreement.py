"""Stored agreement: which scores count, that it follows the log, and what one tick reads."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from bench.agreement_data import make_people, make_texts, simulate_study, store_ratings
from scoring.agreement.alpha import OrdinalAlpha
from scoring.agreement.bootstrap import point
from scoring.agreement.columns import unpacked
from scoring.agreement.study import ROWS, STATISTICS
from scoring.models import Agreement, Assignment, Rating, Score
from scoring.services import agreement as service
from scoring.services.agreement import (
    RATERS,
    SLOW_PARTS,
    due_parts,
    refresh_agreement,
    refresh_agreements,
    refresh_part,
)
from tests.factories import make_queue, make_rater, make_study, rate
from tests.scoring.agreement_matrix import table_from_matrix

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(overlap=3)


def stored(study) -> Agreement:
    return Agreement.objects.get(study=study)


def raters(study) -> dict:
    agreement = stored(study)
    refresh_part(agreement=agreement, part=RATERS)
    return {row["rater"]: row for row in agreement.slow_parts[RATERS]["rows"]}


def given_matrix(study, matrix, dimension_levels=None) -> list:
    """A matrix of texts × raters: the same level on all six dimensions; NaN for a gap."""
    people, versions = make_people(matrix.shape[1]), make_texts(len(matrix))
    rows = [(versions[i], people[j], [int(matrix[i, j])] * 6) for i, j in np.argwhere(~np.isnan(matrix)).tolist()]
    store_ratings(study, rows)
    return people


def test_figures_are_those_of_the_scores(study) -> None:
    matrix = np.random.default_rng(1).integers(0, 6, size=(30, 3)).astype(float)
    matrix[4, 1] = np.nan
    given_matrix(study, matrix)
    assert refresh_agreement(study=study) == 1
    cases = [text // 2 for text in range(30)]
    expected = point(OrdinalAlpha(), table_from_matrix(matrix, cases=cases))
    found = stored(study).figures
    assert found["dimensions"]["safety"]["alpha"]["value"] == pytest.approx(expected, abs=1e-12)
    assert set(found["dimensions"]) == set(ROWS)
    assert set(found["dimensions"]["overall"]) == set(STATISTICS)
    assert found["counts"] == {"ratings": 89, "texts": 30, "cases": 15, "raters": 3, "repeats": 0}
    assert found["dimensions"]["safety"]["alpha"]["low"] is None


def test_what_is_not_sealed_or_informed_does_not_count(study) -> None:
    make_queue(study, 2)
    raters = [make_rater(study) for _ in range(2)]
    for rater in raters:
        rate(study, rater, 4)
    assert refresh_agreement(study=study) == 0
    assert not Agreement.objects.exists()
    refresh_agreement(study=study, now=timezone.now() + timedelta(minutes=31))
    assert stored(study).ratings == 2
    Rating.objects.filter(rater=raters[0]).update(is_first=False, informed=True)
    refresh_agreement(study=study, now=timezone.now() + timedelta(minutes=32))
    assert stored(study).ratings == 1


def test_a_tick_reads_only_what_was_sealed_since(study, django_assert_num_queries) -> None:
    people = simulate_study(study, texts=40, raters=4)
    now = timezone.now()
    refresh_agreement(study=study, now=now)
    read = []
    original = service.read_columns
    service.read_columns = lambda ratings: read.append(ratings.count()) or original(ratings)
    try:
        version = make_texts(1)[0]
        store_ratings(study, [(version, people[0], [5, 4, 3, 2, 1, None])], at=now + timedelta(seconds=3))
        assert refresh_agreement(study=study, now=now + timedelta(seconds=5)) == 1
    finally:
        service.read_columns = original
    assert read == [1]
    columns = unpacked(stored(study).columns)
    assert len(columns) == 121
    assert columns.levels[-1].tolist() == [5, 4, 3, 2, 1, -1]
    with django_assert_num_queries(2):  # nothing new: the set's fingerprint and the stored row
        assert refresh_agreement(study=study, now=now + timedelta(seconds=6)) == 0


def test_added_up_and_read_anew_are_the_same(study) -> None:
    people = simulate_study(study, texts=30, raters=4)
    now = timezone.now()
    refresh_agreement(study=study, now=now)
    more = make_texts(3)
    rows = [(version, person, [3, 4, 5, 2, 1, 0]) for version in more for person in people[:2]]
    store_ratings(study, rows, at=now + timedelta(seconds=1))
    refresh_agreement(study=study, now=now + timedelta(seconds=2))
    step_by_step = stored(study).figures
    Agreement.objects.all().delete()
    refresh_agreement(study=study, now=now + timedelta(seconds=2))
    assert stored(study).figures == step_by_step


def test_an_excluded_raters_scores_leave_the_figures(study) -> None:
    people = simulate_study(study, texts=30, raters=4)
    refresh_agreement(study=study)
    before = stored(study).ratings
    hers = Rating.objects.filter(rater=people[0])
    count = hers.count()
    hers.update(purpose=Assignment.Purpose.EXCLUDED)
    assert refresh_agreement(study=study) == 1
    after = stored(study)
    assert after.ratings == before - count
    assert people[0].pk not in raters(study)


def test_repeats_tell_consistency_and_never_enter_agreement(study) -> None:
    people = simulate_study(study, texts=30, raters=3)
    refresh_agreement(study=study)
    alone = stored(study).figures["dimensions"]
    again = [
        (rating.version, rating.rater, [score.value for score in rating.scores.all()])
        for rating in Rating.objects.filter(rater=people[0])[:5]
    ]
    store_ratings(study, again, purpose=Assignment.Purpose.REPEAT)
    refresh_agreement(study=study)
    found = stored(study).figures
    assert found["dimensions"] == alone
    assert found["counts"]["repeats"] == 5
    rows = raters(study)
    assert rows[people[0].pk]["repeats"]["texts"] == 5
    assert rows[people[0].pk]["repeats"]["within_one"] == 1
    assert rows[people[1].pk]["repeats"] == {"texts": 0, "kappa": None, "within_one": None}


def test_severity_finds_the_simulated_order(study) -> None:
    people = simulate_study(study, texts=200, raters=4)
    refresh_agreement(study=study)
    rows = raters(study)
    means = [rows[person.pk]["overall"]["severity"]["mean"] for person in people]
    assert means == sorted(means)
    assert rows[people[0].pk]["overall"]["severity"]["high"] < 0 < rows[people[-1].pk]["overall"]["severity"]["low"]


def test_pairs_below_thirty_shared_texts_are_not_counted(study) -> None:
    matrix = np.random.default_rng(3).integers(2, 6, size=(45, 3)).astype(float)
    matrix[:20, 2] = np.nan
    people = given_matrix(study, matrix)
    refresh_agreement(study=study)
    found = stored(study).figures
    assert [(pair["first"], pair["second"], pair["shared"]) for pair in found["pairs"]] == [
        (people[0].pk, people[1].pk, 45)
    ]
    assert found["dimensions"]["overall"]["kappa"]["value"] == pytest.approx(found["pairs"][0]["kappa"])


def test_rubric_versions_are_never_mixed(study) -> None:
    from scoring.models import RubricVersion

    simulate_study(study, texts=20, raters=3)
    other = RubricVersion.objects.create(number=99, content=study.rubric.content, content_hash="x" * 64)
    Rating.objects.filter(pk__in=Rating.objects.order_by("pk").values("pk")[:24]).update(rubric=other)
    assert refresh_agreement(study=study) == 2
    assert sorted(Agreement.objects.values_list("rubric__number", "ratings")) == [
        (study.rubric.number, 36),
        (99, 24),
    ]


def test_intervals_follow_one_dimension_at_a_time_and_wait_before_the_next_round(study) -> None:
    people = simulate_study(study, texts=30, raters=3)
    now = timezone.now()
    refresh_agreement(study=study, now=now)
    agreement = stored(study)
    assert due_parts(agreement, now) == list(SLOW_PARTS)
    refresh_part(agreement=agreement, part="safety", now=now, resamples=100)
    found = stored(study)
    alpha = found.slow_parts["safety"]["estimates"]["alpha"]
    assert alpha["low"] < found.figures["dimensions"]["safety"]["alpha"]["value"] < alpha["high"]
    assert (found.slow_parts["safety"]["resamples"], found.slow_parts["safety"]["seed"]) == (100, study.seed)
    assert "safety" not in due_parts(found, now + timedelta(hours=1))
    store_ratings(study, [(make_texts(1)[0], people[0], [5] * 6)], at=now)
    refresh_agreement(study=study, now=now + timedelta(seconds=10))
    assert "safety" not in due_parts(stored(study), now + timedelta(seconds=30))
    assert due_parts(stored(study), now + timedelta(seconds=61))[-1] == "safety"


def test_one_tick_does_what_is_due_within_its_budget(study) -> None:
    simulate_study(study, texts=20, raters=3)
    make_study(started=False)
    assert refresh_agreements(budget_s=0) == 1
    assert stored(study).slow_parts == {}
    assert refresh_agreements(budget_s=600, resamples=50) == 0
    assert set(stored(study).slow_parts) == set(SLOW_PARTS)


def test_a_slower_worker_does_not_overwrite_a_newer_result(study) -> None:
    simulate_study(study, texts=10, raters=3)
    now = timezone.now()
    refresh_agreement(study=study, now=now)
    old = stored(study)
    Agreement.objects.filter(pk=old.pk).update(revision=old.revision + 1, figures={"newer": True})
    assert service._store_figures(old, unpacked(old.columns), now) == 0
    assert stored(study).figures == {"newer": True}


def test_a_score_between_two_levels_is_refused(study) -> None:
    simulate_study(study, texts=2, raters=3)
    Score.objects.filter(pk=Score.objects.first().pk).update(value=2.5)
    with pytest.raises(ValueError, match="not a level"):
        refresh_agreement(study=study)
