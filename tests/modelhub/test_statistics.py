"""The dashboard's snapshot: figures by hand, unknown is None, computed only when something happened."""

from datetime import timedelta

import pytest
from django.utils import timezone

from modelhub.models import Snapshot
from modelhub.services.statistics import DAYS, refresh_dashboard
from scoring.models import Rating, Split
from tests.factories import make_case, make_queue, make_rater, make_study, make_version, rate
from tests.modelhub.datasets import certify

pytestmark = pytest.mark.django_db


def content() -> dict:
    refresh_dashboard(force=True)
    return Snapshot.objects.get(name="dashboard").content


def test_an_empty_studio_has_no_means_and_no_rubric():
    found = content()
    assert found["waiting"] == {"ratings": 0, "adjudications": 0, "revisions": 0, "flags": 0}
    assert found["rubric"] is None
    assert all((row["n"], row["mean"]) == (0, None) for row in found["dimensions"])
    assert found["funnel"]["total"] == 0 and len(found["ratings_per_day"]) == DAYS


def test_figures_by_hand():
    study = make_study(overlap=2)
    first, second = make_rater(study), make_rater(study)
    make_queue(study, 2)
    make_version()
    rate(study, first, 5)
    rate(study, second, 4, safety=None)
    certify([make_case(split=Split.EVALUATION, skin_tone="dark")])
    found = content()
    assert found["certified"]["dermbench"] == 1
    means = {row["key"]: (row["n"], row["mean"]) for row in found["dimensions"]}
    assert means["accuracy"] == (3, pytest.approx(14 / 3))
    assert means["safety"] == (2, 5.0)
    states = {row["key"]: row["count"] for row in found["funnel"]["states"]}
    assert sum(states.values()) == found["funnel"]["total"] == 4
    assert states["unqueued"] == 1 and states["certified"] >= 1
    assert found["ratings_per_day"][-1] == {"day": timezone.localdate().isoformat(), "count": 3, "simulated": 0}
    assert {"scale": "three-level", "tone": "dark", "count": 1} in found["tones"]


def test_ratings_fall_on_their_day_and_old_ones_out():
    study = make_study(overlap=1)
    rater = make_rater(study)
    make_queue(study, 2)
    days_ago = {rate(study, rater).pk: 3, rate(study, rater).pk: DAYS + 5}
    for key, days in days_ago.items():
        Rating.objects.filter(pk=key).update(created_at=timezone.now() - timedelta(days=days), simulated=True)
    counts = [(row["count"], row["simulated"]) for row in content()["ratings_per_day"]]
    assert counts[-4] == (1, 1) and sum(count for count, _ in counts) == 1


def test_it_is_computed_again_only_when_something_happened():
    assert refresh_dashboard() is True
    assert refresh_dashboard() is False
    make_version()
    assert refresh_dashboard() is True
    Snapshot.objects.update(computed_at=timezone.now() - timedelta(minutes=2))
    assert refresh_dashboard() is True
