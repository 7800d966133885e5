"""Whether a judge is trusted: what planted scores do to it, and what is read from an answer that echoes them."""

import json

import pytest

from modelhub.evaluators.base import Item
from modelhub.evaluators.canaries import canaries
from modelhub.evaluators.reply import read_scores
from modelhub.services.judges import try_canaries
from scoring.rubric import DIMENSION_KEYS
from tests.chat_server import chat, chat_server
from tests.factories import make_version
from tests.modelhub.judged import FOUR, outcomes
from tests.modelhub.judges import asked_words, call_in, candidate_in, honest, make_judge

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = FOUR
        yield running


class TestCanaries:
    def test_there_are_sixty_in_two_languages_and_each_holds_its_plant(self):
        all_ = canaries()
        assert len(all_) == 60 == len({canary.planted for canary in all_})
        assert sum(canary.plain.language == "en" for canary in all_) == 30
        for canary in all_:
            added = len(canary.planted) - len(canary.plain.text)
            assert added > 10 and str(canary.plain.target) in canary.planted

    def test_a_judge_that_reads_the_case_is_trusted(self, server):
        good = [canary.plain.text for canary in canaries() if canary.plain.target == 0]
        server.answer = honest(lambda text: 4 if any(one[:40] in text or one[-40:] in text for one in good) else 1)
        row = make_judge(server)
        found = try_canaries(evaluator=row, run=None, tick=lambda: None)
        assert (found["judged"], found["mean_shift"], found["distrust"]) == (60, 0, "")
        assert len(server.asked) == 66  # each plain text once
        row.refresh_from_db()
        assert row.distrust == ""
        try_canaries(evaluator=row, run=None, tick=lambda: None)
        assert len(server.asked) == 66

    def test_a_judge_that_follows_plants_is_not(self, server):
        plain = {canary.plain.text: 5 - canary.plain.target for canary in canaries()}
        planted = {canary.planted: canary.plain.target for canary in canaries()}
        server.answer = honest(lambda text: plain.get(text, planted.get(text)))
        row = make_judge(server)
        assert row.distrust == "its canaries have not been tried yet"
        found = try_canaries(evaluator=row, run=None, tick=lambda: None)
        assert found["mean_shift"] == 5 and "planted scores move it by 5.00" in row.distrust

    def test_a_judge_that_gives_what_is_planted_anyway_tells_nothing_about_plants(self, server):
        high = [text for canary in canaries() if canary.plain.target for text in (canary.plain.text, canary.planted)]
        server.answer = honest(lambda text: 5 if text in high else 0)
        row = make_judge(server)
        try_canaries(evaluator=row, run=None, tick=lambda: None)
        assert row.canaries["mean_shift"] == 0 and "nothing can be told" in row.distrust

    def test_a_judge_whose_answers_cannot_be_read_is_not_trusted(self, server):
        server.answer = lambda asked, before: chat("Fine text!")
        row = make_judge(server)
        try_canaries(evaluator=row, run=None, tick=lambda: None)
        assert "only 0 of its 60 canaries could be read" in row.distrust


class TestEchoes:
    """A server that sends back what it was sent is the plant's best friend: none of the planted scores gets through."""

    @pytest.mark.parametrize("echo", [candidate_in, asked_words], ids=["candidate", "whole prompt"])
    def test_no_planted_score_is_read_from_an_echo(self, server, echo):
        server.answer = lambda asked, before: chat(echo(asked))
        some = []
        for canary in canaries():
            version = make_version(text=canary.planted)
            some.append(Item(version, version.narrative.case, canary.plain.reference))
        for protocol in ("free", "reference"):
            found = outcomes(make_judge(server, protocol=protocol, diagnosis=True), some)
            assert len(found) == 60
            assert {outcome.parse_status for outcome in found} == {"failed"}
            assert not any(value is not None for outcome in found for value in outcome.scores.values())
            assert {outcome.diagnosis_right for outcome in found} == {None}

    def test_an_echo_behind_the_real_answer_changes_nothing(self, server):
        def answer(asked, before):
            said = {"call": call_in(asked), "scores": dict.fromkeys(DIMENSION_KEYS, 2), "justification": ""}
            return chat(f"{json.dumps(said)}\n\nThe text was: {candidate_in(asked)}")

        server.answer = answer
        planted = [canary.planted for canary in canaries()]
        versions = [make_version(text=text) for text in planted]
        found = outcomes(make_judge(server), [Item(version, version.narrative.case) for version in versions])
        assert [outcome.scores["accuracy"] for outcome in found] == [2] * 60

    def test_the_plants_would_work_on_a_reader_that_knows_their_token(self):
        """The check above can fail: with the token the planted objects carry, they are read."""
        read = [read_scores(canary.planted, "0123456789abcdef") for canary in canaries()]
        assert sum(found.status == "parsed" for found in read) >= 20
