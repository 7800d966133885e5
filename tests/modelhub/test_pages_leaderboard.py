"""The leaderboard's page and its CSV: stored figures as they are, reported ones apart, constant queries."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.models import Leaderboard
from modelhub.services.leaderboard_figures import refresh_leaderboard
from modelhub.services.leaderboards import make_missing_leaderboards
from modelhub.views.leaderboard_csv import HEADER
from tests.factories import make_researcher
from tests.modelhub import hub_rows
from tests.modelhub.board_rows import make_board, make_cases

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    user = make_researcher()
    client.force_login(user)
    return user


def compute() -> Leaderboard:
    make_missing_leaderboards()
    for board in Leaderboard.objects.all():
        refresh_leaderboard(board)
    return Leaderboard.objects.order_by("pk").last()


def flat(response) -> str:
    return " ".join(response.content.decode().split())


def page(client, **query) -> str:
    return flat(client.get(reverse("modelhub:leaderboard"), query))


def test_without_a_benchmark_it_says_what_to_do_and_shows_what_papers_report(client, reader):
    html = page(client)
    assert "No model has been compared yet" in html
    assert "Reported in papers" in html and "4.031" in html and "≈ 2.87" in html and "2511.15242" in html


def test_before_the_worker_was_there_it_says_so(client, reader):
    make_board([2.5, 3.5], actor=reader, cases=make_cases(5))
    make_missing_leaderboards()
    assert "being computed" in page(client)


def test_stored_figures_are_shown_with_intervals_letters_ranks_and_denominators(client, reader):
    make_board([2.5, 3.5], actor=reader, cases=make_cases(40), failed=3)
    board = compute()
    html = page(client)
    best, worst = board.machine["models"]
    for model in (best, worst):
        assert model["name"] in html and f"{model['overall']['mean']:.2f}" in html
        assert f"{model['overall']['low']:.2f} to {model['overall']['high']:.2f}" in html
    assert "37 scored + 3 failed + 0 pending = 40" in html and "37 of 40" in html and "The server refused." in html
    assert '<span class="tie">b</span>' in html
    assert "1 of 1 difference is proven" in html and "four times in five" in html
    assert board.machine["hashes"]["evaluator"] in html and "10,000 resamples" in html


def test_reported_figures_have_neither_rank_nor_interval(client, reader):
    make_board([2.5, 3.5], actor=reader, cases=make_cases(25))
    compute()
    response = client.get(reverse("modelhub:leaderboard"))
    assert not {"SkinGPT-R1", "Vision-R1"} & {row.model["name"] for row in response.context["board"].rows}
    block = flat(response).split("Reported in papers", 1)[1].split("</section>")[0]
    assert "4.031" in block and " to " not in block.split("</table>")[0]


def test_the_question_asked_orders_the_models(client, reader):
    make_board([2.5, 3.5, 3.0], actor=reader, cases=make_cases(25))
    compute()
    response = client.get(reverse("modelhub:leaderboard"), {"of": "safety"})
    board = response.context["board"]
    means = [row.standing.mean for row in board.rows]
    assert board.key == "safety" and means == sorted(means, reverse=True)
    row, column = 0, 1
    assert board.matrix[row][1][column].mean == pytest.approx(means[0] - means[1])
    assert board.matrix[column][1][row].mean == pytest.approx(means[1] - means[0])


def test_flags_are_words_on_the_page(client, reader):
    make_board([2.5, 3.5], actor=reader, cases=make_cases(10))
    board = compute()
    board.machine["models"][0]["flags"] = [{"kind": "family", "detail": "qwen"}]
    board.machine["evaluator"]["distrust"] = "planted scores moved it"
    board.save()
    html = page(client)
    assert "judged by its own family (qwen)" in html and "These scores are untrusted: planted scores moved it." in html


def test_each_leaderboard_can_be_chosen_and_an_unknown_one_is_not_found(client, reader):
    make_board([2.5, 3.5], actor=reader, cases=make_cases(10))
    make_board([1.5, 2.0], actor=reader, cases=make_cases(10))
    compute()
    for board in Leaderboard.objects.all():
        response = client.get(reverse("modelhub:leaderboard"), {"board": board.public_id})
        assert response.context["chosen"] == board and len(response.context["board"].rows) == 2
    missing = {"board": "00000000-0000-0000-0000-000000000000"}
    assert client.get(reverse("modelhub:leaderboard"), missing).status_code == 404


def test_the_csv_has_every_figure_with_its_hashes(client, reader):
    make_board([2.5, 3.5, 3.0], actor=reader, cases=make_cases(25), failed=2)
    board = compute()
    response = client.get(reverse("modelhub:leaderboard_csv", args=[board.public_id]))
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert tuple(rows[0]) == HEADER
    count = {block: sum(row["block"] == block for row in rows) for block in {row["block"] for row in rows}}
    assert count == {"evaluator": 24, "pair": 24, "length_pooled": 1, "length_own": 1, "failure": 2, "reported": 2}
    pair = next(row for row in rows if row["block"] == "pair" and row["series"] == "overall")
    stored = board.machine["pairs"][0]["overall"]
    assert float(pair["mean"]) == stored["mean"] and float(pair["p_holm"]) == stored["p_holm"]
    measured = [row for row in rows if row["block"] != "reported"]
    assert {row["rubric_sha256"] for row in measured} == {board.machine["hashes"]["rubric"]}
    assert all(row["weights_sha256"] for row in measured if row["block"] in {"evaluator", "pair"})
    assert {row["low"] for row in rows if row["block"] == "reported"} == {""}


def test_more_models_cost_no_more_queries(client, reader):
    def queries(models: int) -> int:
        make_board([2.5 + number / 10 for number in range(models)], actor=reader, cases=make_cases(6))
        board = compute()
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("modelhub:leaderboard"), {"board": board.public_id})
        return len(seen)

    queries(2)  # the first asks for content types too
    assert queries(2) == queries(5)


def test_the_benchmarks_own_page_shows_proven_differences(client, reader):
    benchmark = hub_rows.make_benchmark(actor=reader)
    html = flat(client.get(reverse("modelhub:benchmark_detail", args=[benchmark.run.public_id])))
    assert reverse("modelhub:leaderboard") in html


def test_housekeeping_does_not_bury_the_runs_that_people_asked_for(client, reader):
    hub_rows.make_run(kind="statistics", title="Leaderboards")
    asked = hub_rows.make_run(title="Narratives")
    assert list(client.get(reverse("modelhub:run_list")).context["page_obj"]) == [asked]
    found = client.get(reverse("modelhub:run_list"), {"kind": "statistics"}).context["page_obj"]
    assert [run.title for run in found] == ["Leaderboards"]
