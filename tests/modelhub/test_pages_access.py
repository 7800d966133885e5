"""Raters never see the model hub; researchers look and compare; only administrators act."""

import uuid

import pytest
from django.urls import reverse

from tests import factories
from tests.modelhub import hub_rows

pytestmark = pytest.mark.django_db
PLAIN = (
    "model_list",
    "run_list",
    "dermcot",
    "dermbench",
    "ablation",
    "leaderboard",
    "compare",
    "benchmark_start",
    "classification",
)


@pytest.fixture
def pages(db) -> list[str]:
    """Every page of the hub that researchers may read, with rows behind it."""
    admin = factories.make_administrator()
    benchmark = hub_rows.make_benchmark(actor=admin)
    dataset = hub_rows.make_dataset(actor=admin)
    model = benchmark.candidates.first()
    return [
        *(reverse(f"modelhub:{name}") for name in PLAIN),
        reverse("dashboard"),
        reverse("modelhub:model_detail", args=[model.public_id]),
        reverse("modelhub:run_detail", args=[benchmark.run.public_id]),
        reverse("modelhub:dataset_detail", args=[dataset.public_id]),
        reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id]),
        reverse("modelhub:benchmark_records", args=[benchmark.run.public_id]),
        reverse("modelhub:artifact", args=[hub_rows.make_artifact(dataset).public_id]),
    ]


@pytest.mark.parametrize("make", [factories.make_dermatologist, factories.make_adjudicator])
def test_raters_and_adjudicators_are_kept_out(client, pages, make):
    client.force_login(make())
    assert {client.get(page).status_code for page in [*pages, reverse("modelhub:generate")]} == {403}


@pytest.mark.parametrize("make", [factories.make_researcher, factories.make_administrator])
def test_researchers_and_administrators_read_every_page(client, pages, make):
    client.force_login(make())
    assert [page for page in pages if client.get(page).status_code != 200] == []


def test_pages_are_never_cached(client, pages):
    client.force_login(factories.make_researcher())
    assert all("no-store" in client.get(page)["Cache-Control"] for page in pages)


ACTIONS = ("run_cancel", "run_retry", "retrain")


@pytest.mark.parametrize("name", ACTIONS)
def test_researchers_do_not_act(client, name):
    client.force_login(factories.make_researcher())
    assert client.post(reverse(f"modelhub:{name}", args=[uuid.uuid4()])).status_code == 403


@pytest.mark.parametrize("name", ["generate", "dataset_freeze"])
def test_researchers_neither_write_nor_freeze(client, name):
    client.force_login(factories.make_researcher())
    assert client.post(reverse(f"modelhub:{name}")).status_code == 403


@pytest.mark.parametrize("name", ["run_cancel", "run_retry", "dataset_export"])
def test_actions_are_posts(client, name):
    client.force_login(factories.make_administrator())
    assert client.get(reverse(f"modelhub:{name}", args=[uuid.uuid4()])).status_code == 405


@pytest.mark.parametrize(
    "name", ["model_detail", "run_detail", "dataset_detail", "benchmark_detail", "artifact", "retrain"]
)
def test_what_does_not_exist_is_not_found(client, name):
    client.force_login(factories.make_administrator())
    assert client.get(reverse(f"modelhub:{name}", args=[uuid.uuid4()])).status_code == 404
