"""What bounds a judge: places, budgets, distance between requests, servers that fail, and cancelling."""

import threading
import time

import pytest
from django.core.exceptions import ValidationError

from modelhub.evaluators.base import CannotEvaluate, Item
from modelhub.evaluators.desk import JudgeStopped
from modelhub.evaluators.judge import JudgeEvaluator
from modelhub.models import EvaluatorVersion, JudgeReply
from modelhub.services.judges import change_terms
from tests.chat_server import Reply, chat_server, error
from tests.modelhub.judged import FOUR, items, outcomes
from tests.modelhub.judges import asked_words, make_endpoint, make_judge

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = FOUR
        yield running


class TestLimits:
    def test_no_more_than_the_places_are_out_at_once(self, server):
        server.answer = lambda asked, before: Reply(FOUR(asked, before).body, delay_s=0.02)
        outcomes(make_judge(server, terms={"concurrency": 2}), items(6))
        assert server.most_under_way == 2 and len(server.asked) == 6

    def test_a_budget_in_tokens_stops_before_it_is_exceeded_and_the_rest_follows_when_it_is_raised(self, server):
        row, some = make_judge(server, concurrency=1), items(4)
        bound = len(asked_bytes(server, row)) + 2048
        JudgeReply.objects.all().delete()
        server.asked.clear()
        row = change_terms(evaluator=row, terms={"budget_tokens": bound + 20}, actor=None)
        with pytest.raises(JudgeStopped, match="Raise the evaluator's budget"):
            outcomes_in_run(row, some)
        told = len(server.asked)
        assert told == 2 and JudgeReply.objects.count() == told
        row = change_terms(evaluator=row, terms={"budget_tokens": 1_000_000}, actor=None)
        assert len(outcomes_in_run(row, some)) == 4 and len(server.asked) == 4

    def test_a_budget_in_dollars_needs_prices(self, server):
        with pytest.raises(ValidationError, match="needs both prices"):
            make_judge(server, terms={"budget_usd": 1})
        prices = {"usd_per_million_in": 1_000, "usd_per_million_out": 1_000}
        row = make_judge(server, terms=prices | {"budget_usd": 0.5})
        with pytest.raises(JudgeStopped, match=r"The budget of \$0\.5000"):
            outcomes(row, items(1))
        assert not server.asked

    def test_requests_keep_their_distance(self, server):
        row = make_judge(server, terms={"requests_per_minute": 600})
        began = time.monotonic()
        outcomes(row, items(4))
        assert time.monotonic() - began >= 0.29  # three pauses of a tenth of a second: a lower bound, not a speed

    def test_a_server_that_is_away_stops_the_run_and_what_it_answered_stays(self, server):
        server.answer = lambda asked, before: FOUR(asked, before) if before < 2 else error(500)
        row, some = make_judge(server, concurrency=1), items(9)
        with pytest.raises(JudgeStopped, match="gives no answers"):
            outcomes(row, some)
        assert JudgeReply.objects.count() == 2
        server.answer = FOUR
        before = len(server.asked)
        assert all(outcome.parse_status == "parsed" for outcome in outcomes(row, some))
        assert len(server.asked) - before == 7

    def test_one_lost_answer_is_one_failure(self, server):
        server.answer = lambda asked, before: error(500) if before == 1 else FOUR(asked, before)
        found = outcomes(make_judge(server, concurrency=1), items(4))
        assert sum(isinstance(outcome, CannotEvaluate) for outcome in found) == 1

    def test_a_wrong_key_is_said_at_once(self, server, monkeypatch):
        monkeypatch.delenv("NOBODYS_API_KEY", raising=False)
        model = make_endpoint(server, key_variable="NOBODYS_API_KEY")
        with pytest.raises(JudgeStopped, match="NOBODYS_API_KEY is not set"):
            outcomes(make_judge(model=model), items(1))

    def test_a_cancelled_run_stops_between_answers(self, server):
        class Cancelled(Exception):
            pass

        stop = threading.Event()

        def tick():
            if stop.is_set():
                raise Cancelled

        found = JudgeEvaluator(make_judge(server, concurrency=1)).evaluate_all(items(5), tick=tick)
        next(found)
        stop.set()
        with pytest.raises(Cancelled):
            list(found)
        assert len(server.asked) < 5
        assert JudgeReply.objects.count() == len(server.asked)  # what was under way is paid for and kept


def asked_bytes(server, row) -> bytes:
    outcomes(row, items(1))
    return asked_words(server.asked[0]).encode()


def outcomes_in_run(row: EvaluatorVersion, some: list[Item]) -> list:
    from modelhub.models import Run

    run, _ = Run.objects.get_or_create(kind=Run.Kind.EVALUATION, title="t")
    return [outcome for _, outcome in JudgeEvaluator(row).evaluate_all(some, run=run)]
