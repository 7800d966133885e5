"""DermBench's pages: tallies that add up, results as stored, records as CSV."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.models import BenchmarkEntry, BenchmarkRun, Run
from modelhub.views.benchmark_csv import HEADER, text_cell
from modelhub.views.results import result_table
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_administrator, make_case, make_researcher
from tests.modelhub import hub_rows
from tests.modelhub.datasets import make_dermbench

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make_administrator()
    client.force_login(user)
    return user


def flat(response) -> str:
    return " ".join(response.content.decode().split())


def detail(client, benchmark, **query):
    return client.get(reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id]), query)


def test_results_are_shown_as_they_were_stored(client, admin):
    benchmark = hub_rows.make_benchmark(actor=admin)
    html = flat(detail(client, benchmark))
    assert "<b>2.11</b>" in html and "1.86 to 2.36" in html
    assert "−0.77" in html and "−1.02 to −0.52" in html
    assert "Right diagnosis, per cent" in html and "<b>50.00</b>" in html


def test_evaluator_and_rubric_stand_beside_the_scores(client, admin):
    html = flat(detail(client, hub_rows.make_benchmark(actor=admin)))
    assert "Exact evaluator for drawn lesions" in html and "rubric 1" in html


def test_scored_failed_and_pending_add_up_to_expected(client, admin):
    benchmark = hub_rows.make_benchmark(actor=admin, finished=False)
    first, second = benchmark.entries.order_by("pk")[:2]
    BenchmarkEntry.objects.filter(pk=first.pk).update(state="failed", error="It has no text.", evaluation=None)
    BenchmarkEntry.objects.filter(pk=second.pk).update(state="pending", evaluation=None)
    html = flat(detail(client, benchmark))
    assert "<b>4</b> scored" in html and ">1</b> failed" in html
    assert "<b>1</b> pending" in html and "<b>6</b> expected" in html
    assert "It has no text." in html and "Results appear when" in html


def test_the_chart_has_a_mark_per_model_and_row(client, admin):
    table = detail(client, hub_rows.make_benchmark(actor=admin, models=3)).context["table"]
    assert [len(row.marks) for row in table.chart.rows] == [3] * 7


def test_the_difference_is_against_the_model_asked_for(client, admin):
    benchmark = hub_rows.make_benchmark(actor=admin, models=3)
    first, _, third = benchmark.results["models"]
    table = detail(client, benchmark, against=third["model"]).context["table"]
    assert (table.left, table.right) == (first["name"], third["name"])


def test_one_model_alone_has_no_difference(client, admin):
    html = flat(detail(client, hub_rows.make_benchmark(actor=admin, models=1)))
    assert "Paired difference" not in html and "2.11" in html


def test_an_unknown_mean_is_a_dash_and_not_zero():
    nothing = {"n": 0, "mean": None, "low": None, "high": None, "reason": "no value"}
    parts = {"dimensions": dict.fromkeys(DIMENSION_KEYS, nothing), "overall": nothing, "diagnosis": nothing}
    table = result_table({"models": [{"model": "a", "name": "A", **parts}], "pairs": []})
    assert table is not None and table.chart is None and len(table.rows) == 7
    assert {row.figures[0].mean for row in table.rows if row.figures[0]} == {None}


def test_without_results_there_is_no_table():
    assert result_table(None) is None


def test_records_have_a_line_per_case_and_model(client, admin):
    benchmark = hub_rows.make_benchmark(actor=admin)
    response = client.get(reverse("modelhub:benchmark_records", args=[benchmark.run.public_id]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert response.streaming and response["Content-Disposition"].startswith("attachment")
    assert len(rows) == 6 and tuple(rows[0]) == HEADER
    first = benchmark.entries.select_related("case", "model").order_by("case_id", "model_id")[0]
    assert rows[0]["case"] == str(first.case.public_id) and rows[0]["model"] == first.model.name
    assert {row["mean_of_six"] for row in rows} == {"3.0", "4.0", "2.0", "1.0"}


def test_failed_records_are_not_dropped(client, admin):
    benchmark = hub_rows.make_benchmark(actor=admin, finished=False)
    benchmark.entries.update(state="failed", error="The model refused.", evaluation=None)
    response = client.get(reverse("modelhub:benchmark_records", args=[benchmark.run.public_id]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert {(row["state"], row["accuracy"], row["error"]) for row in rows} == {("failed", "", "The model refused.")}


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx"])
def test_no_cell_is_a_formula(text):
    assert text_cell(text) == f"'{text}"


def test_numbers_stay_numbers():
    assert (text_cell(-1.5), text_cell(None), text_cell("tinea")) == (-1.5, "", "tinea")


def test_many_records_cost_no_more_queries(client, admin):
    def queries(count: int) -> int:
        benchmark = hub_rows.make_benchmark(actor=admin, cases=[make_case(image=False) for _ in range(count)])
        with CaptureQueriesContext(connection) as seen:
            response = client.get(reverse("modelhub:benchmark_records", args=[benchmark.run.public_id]))
            b"".join(response.streaming_content)
        return len(seen)

    assert queries(2) == queries(12)


def test_researchers_start_a_benchmark(client):
    user = make_researcher()
    client.force_login(user)
    dataset, models = make_dermbench(2), [hub_rows.make_model(), hub_rows.make_model()]
    values = {
        "dataset": dataset.public_id,
        "models": [model.public_id for model in models],
        "evaluator": "synthetic_truth",
        "seed": "5",
    }
    response = client.post(reverse("modelhub:benchmark_start"), values)
    benchmark = BenchmarkRun.objects.get()
    assert response.url == reverse("modelhub:run_detail", args=[benchmark.run.public_id])
    assert benchmark.entries.count() == 4 and benchmark.manifest["decoding"]["seed"] == 5
    assert benchmark.run.created_by == user


def test_one_model_is_not_a_comparison(client, admin):
    dataset, model = make_dermbench(1), hub_rows.make_model()
    hub_rows.make_model()
    values = {"dataset": dataset.public_id, "models": [model.public_id], "evaluator": "synthetic_truth"}
    response = client.post(reverse("modelhub:benchmark_start"), values)
    assert response.status_code == 422 and "at least two models" in flat(response)
    assert not Run.objects.filter(kind=Run.Kind.BENCHMARK).exists()


def test_what_the_evaluator_cannot_score_is_refused_by_name(client, admin):
    dataset = make_dermbench(1, drawn=False)
    models = [hub_rows.make_model(), hub_rows.make_model()]
    values = {
        "dataset": dataset.public_id,
        "models": [model.public_id for model in models],
        "evaluator": "synthetic_truth",
    }
    html = flat(client.post(reverse("modelhub:benchmark_start"), values))
    assert dataset.items.get().version.narrative.case.code in html and "drawn lesions only" in html


def test_starting_without_a_frozen_version_leads_to_freezing(client, admin):
    assert "No DermBench version is frozen yet" in flat(client.get(reverse("modelhub:benchmark_start")))


def test_starting_with_one_model_leads_to_training(client, admin):
    hub_rows.make_dataset("dermbench", actor=admin)
    hub_rows.make_model()
    assert "There is only one model" in flat(client.get(reverse("modelhub:benchmark_start")))


def test_the_page_shows_the_last_results(client, admin):
    hub_rows.make_benchmark(actor=admin)
    last = hub_rows.make_benchmark(actor=admin)
    hub_rows.make_benchmark(actor=admin, finished=False)
    assert client.get(reverse("modelhub:dermbench")).context["last"] == last


def test_many_runs_cost_no_more_queries(client, admin):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:dermbench"))
        return len(seen)

    study = hub_rows.make_benchmark(actor=admin).dataset.study
    few = queries()
    for _ in range(4):
        hub_rows.make_benchmark(actor=admin, study=study)
    assert queries() == few
