"""The page of the recorded ablation shows the record's own figures, and says so where there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A small record of made-up texts, through the bench's own arithmetic."""
    from bench import ablation
    from bench.ablation_data import make_cases
    from bench.ablation_table import by_tone, per_seed, score_texts
    from modelhub.ml.synthetic.wording import corrupt, narrative

    cases = make_cases(12, 3)
    exact = {case.key: narrative(case.lesion, np.random.default_rng(case.seed)) for case in cases}
    wrong = {case.key: corrupt(case.lesion, np.random.default_rng(case.seed), "wrong_diagnosis") for case in cases}
    mixed = {case.key: (exact if n % 2 else wrong)[case.key] for n, case in enumerate(cases)}
    texts = dict.fromkeys((arm.key for arm in ablation.ARMS), exact) | {"base": wrong, "both_no_teacher": mixed}
    arms = {key: score_texts(cases, some, 1) for key, some in texts.items()}
    names = {arm.key: arm.name for arm in ablation.ARMS}
    made = ablation.describe(ablation.Plan(training=9, held_out=12, seeds=(1,), settings=ablation.SETTINGS)) | {
        "results": by_tone(arms, names, cases, also=[("both_no_teacher", "both")]),
        "per_seed": per_seed(arms),
        "minutes": 1.5,
    }
    path = tmp_path / "ablation.json"
    path.write_text(json.dumps(made))
    monkeypatch.setattr("modelhub.views.ablation.RECORD", path)
    return made


def test_every_arm_with_its_difference_in_every_group(client, record):
    client.force_login(factories.make_researcher())
    page = client.get(reverse("modelhub:ablation"))
    text = page.content.decode()
    for arm in record["arms"]:
        assert text.count(arm["name"]) >= 4
    groups = page.context["groups"]
    assert [name for name, _ in groups] == ["Every skin tone", "Light skin", "Medium skin", "Dark skin"]
    for _, rows in groups:
        assert [row.diagnosis.mean for row in rows] == [0, 100, 100, 100, pytest.approx(50, abs=1)]
        assert rows[0].diagnosis_gain is None
        assert rows[1].diagnosis_gain.mean == 100
    assert "The teacher alone" in text
    assert page.context["alone"][0][1].mean == pytest.approx(50)
    assert record["command"] in text
    assert record["base_sha256"][:12] in text


def test_the_dimensions_of_another_arm_can_be_asked_for(client, record):
    client.force_login(factories.make_researcher())
    page = client.get(reverse("modelhub:ablation"), {"against": "both"})
    assert page.context["table"].right == "+ both"
    assert client.get(reverse("modelhub:ablation"), {"against": "nonsense"}).context["table"].right


def test_without_a_record_it_says_what_makes_one(client, monkeypatch, tmp_path):
    monkeypatch.setattr("modelhub.views.ablation.RECORD", tmp_path / "none.json")
    client.force_login(factories.make_administrator())
    page = client.get(reverse("modelhub:ablation"))
    assert page.status_code == 200
    assert "make bench-ablation ARGS=--full" in page.content.decode()


def test_raters_do_not_see_it(client):
    client.force_login(factories.make_dermatologist())
    assert client.get(reverse("modelhub:ablation")).status_code == 403


def test_no_query_grows_with_the_record(client, record, django_assert_max_num_queries):
    client.force_login(factories.make_researcher())
    client.get(reverse("modelhub:ablation"))
    with django_assert_max_num_queries(8):
        client.get(reverse("modelhub:ablation"))
