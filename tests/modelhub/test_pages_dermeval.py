"""The pages of DermEval: who may start one, what is refused, and the curves of a run."""

import pytest
from django.urls import reverse

from modelhub.models import DermEvalTraining, Run
from scoring.rubric import DIMENSION_KEYS
from scoring.services.studies import current_rubric
from tests.factories import make_administrator, make_researcher, make_study
from tests.modelhub.hub_rows import make_model, make_run

pytestmark = pytest.mark.django_db


def test_an_administrator_starts_one_and_too_few_ratings_are_said(client):
    base, study = make_model(), make_study()
    client.force_login(make_administrator())
    assert b"Supervised steps" in client.get(reverse("modelhub:dermeval_start")).content
    shown = client.get(reverse("modelhub:dermeval_start")).content.decode()
    assert "(0 critiques)" in shown and 'placeholder="six readings of each critique"' in shown
    page = client.post(reverse("modelhub:dermeval_start"), {"base": base.public_id, "study": study.public_id})
    assert page.status_code == 422
    assert "first ratings of 0 narratives" in page.content.decode()
    assert not Run.objects.exists()
    client.force_login(make_researcher())
    assert client.get(reverse("modelhub:dermeval_start")).status_code == 403


def test_a_run_shows_the_curves_of_both_stages_with_a_table_each(client):
    run = make_run(kind=Run.Kind.DERMEVAL, plan={"narratives": 9, "ratings": 18})
    line = {"offset": -1.25, "slope": 1.5, "narratives": 31}
    lines = {"cases": 8, "narratives": 32, "lines": dict.fromkeys(DIMENSION_KEYS, line) | {"safety": None}}
    nothing = {"cases": 0, "narratives": 0, "lines": dict.fromkeys(DIMENSION_KEYS)}
    rewards = [{"step": n, "reward": -2.0 / n, "baseline": -2.0, "parse_rate": 0.5, "loss": 0.1} for n in (1, 2, 3)]
    DermEvalTraining.objects.create(
        run=run,
        base=make_model(),
        study=make_study(),
        rubric=current_rubric(),
        settings={"sft_steps": 3, "rl_steps": 3, "reading": "fitted", "fit_share": 0.25, "batch": 9},
        adapters={"sft": {"sha256": "1" * 64, "lines": lines}, "rl": {"sha256": "2" * 64, "lines": nothing}},
        curves={"sft": [{"step": n, "loss": 1.0 / n} for n in (1, 2, 3)], "rl": rewards},
    )
    client.force_login(make_researcher())
    page = client.get(reverse("modelhub:run_detail", args=[run.public_id])).content.decode()
    for words in (
        "Supervised: loss",
        "REINFORCE: moving baseline",
        "REINFORCE: share of scores read",
        "18",
        "2.0 times",
    ):
        assert words in page
    assert page.count("<details") >= 2
    assert "32 narratives about 8 cases" in page
    assert page.count("−1.25") == page.count("1.50") == 5
    assert page.count("No line: too few held-out scores.") == 1
    assert page.count("No line was fitted") == 1
