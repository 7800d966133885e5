"""The dashboard shows what a worker stored, how fresh it is, and what to do where there is nothing."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from modelhub.models import Snapshot
from modelhub.services.statistics import refresh_dashboard
from tests.factories import make_administrator, make_case, make_dermatologist, make_queue, make_rater, make_study, rate
from tests.modelhub import hub_rows
from tests.modelhub.datasets import certify

pytestmark = pytest.mark.django_db
URL = "/dashboard/"


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def flat(response) -> str:
    return " ".join(response.content.decode().split())


def test_raters_are_kept_out(client):
    client.force_login(make_dermatologist())
    assert client.get(URL).status_code == 403


def test_before_the_first_statistics_it_says_so(client, admin):
    html = flat(client.get(URL))
    assert "No statistics have been computed yet" in html and "No model has been compared yet" in html


def test_an_empty_studio_says_what_to_do(client, admin):
    refresh_dashboard(force=True)
    html = flat(client.get(URL))
    assert "No narrative is in a study yet" in html and "No rating has been submitted yet" in html
    assert reverse("modelhub:generate") in html and reverse("modelhub:benchmark_start") in html


def test_figures_are_the_stored_ones(client, admin):
    study = make_study(overlap=2)
    make_queue(study, 2)
    rate(study, make_rater(study), 4)
    certify([make_case()])
    refresh_dashboard(force=True)
    response = client.get(URL)
    context = response.context
    assert context["waiting"]["ratings"] == 3 and context["certified"] == {"dermcot": 1, "dermbench": 0}
    assert context["ratings_total"] == 2
    assert {row["name"]: (row["n"], row["mean"]) for row in context["dimensions"]}["Safety"] == (2, 4.5)
    assert "three-level" in flat(response) and "rubric 1" in flat(response)


def test_the_funnel_adds_up_on_the_page(client, admin):
    study = make_study(overlap=2)
    make_queue(study, 3)
    rate(study, make_rater(study), 4)
    refresh_dashboard(force=True)
    funnel = client.get(URL).context["funnel"]
    assert sum(state["count"] for state in funnel["states"]) == funnel["total"] == 3


def test_the_page_computes_nothing(client, admin):
    refresh_dashboard(force=True)
    stored = Snapshot.objects.get(name="dashboard")
    stored.content["waiting"]["ratings"] = 4321
    stored.save()
    assert "4,321" in flat(client.get(URL))


def test_old_figures_say_that_they_are_old(client, admin):
    refresh_dashboard(force=True)
    assert "stand still" not in flat(client.get(URL))
    Snapshot.objects.update(computed_at=timezone.now() - timedelta(minutes=10))
    assert "stand still" in flat(client.get(URL))


def test_the_last_benchmark_names_its_evaluator(client, admin):
    hub_rows.make_benchmark(actor=admin)
    html = flat(client.get(URL))
    assert "Exact evaluator for drawn lesions" in html and "2.11" in html


def test_what_runs_is_shown_and_what_ended_below(client, admin):
    hub_rows.make_run(title="Waits for the card")
    hub_rows.make_run(title="Came to nothing", state="failed", error="No.", finished_at=timezone.now())
    context = client.get(URL).context
    assert [run.title for run in context["runs"]] == ["Waits for the card"]
    assert [run.title for run in context["ended"]] == ["Came to nothing"]


def test_htmx_gets_only_the_part_that_changes(client, admin):
    html = client.get(URL, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in html and 'id="dashboard-live"' in html


def test_more_data_costs_no_more_queries(client, admin):
    def queries() -> int:
        refresh_dashboard(force=True)
        with CaptureQueriesContext(connection) as seen:
            client.get(URL)
        return len(seen)

    def grow() -> None:
        hub_rows.make_benchmark(actor=admin)
        hub_rows.make_run(created_by=admin)
        certify([make_case()])

    grow()
    few = queries()
    for _ in range(4):
        grow()
    assert queries() == few
