"""The judge bench's servers against the product: a mess is read or counted, and a real model's words break nothing."""

import pytest

from bench.judge_runs import judge_on, made_texts
from bench.judge_server import LanguageModel, candidate_in, messy, serving
from modelhub.evaluators.judge import JudgeEvaluator, scores_in
from modelhub.evaluators.prompts import Subject
from modelhub.models import JudgeReply
from scoring.rubric import DIMENSION_KEYS

pytestmark = pytest.mark.django_db


def read(server, texts):
    """Each text with what was read of its answer."""
    judge = JudgeEvaluator(judge_on(server, "bench", 2))
    asked = [judge.question(judge.protocol, Subject(text), owner=text) for text in texts]
    found = {question.owner: reply for question, reply in judge.ask_all(asked, run=None)}
    assert all(isinstance(reply, JudgeReply) for reply in found.values())
    return {text: scores_in(reply) for text, reply in found.items()}


def test_every_way_to_spoil_an_answer_is_read_rightly_or_counted():
    texts = made_texts(60)
    with serving(messy) as server:
        found = read(server, texts)
    assert len(found) == 60
    statuses = [one.status for one in found.values()]
    assert {"parsed", "partial", "failed"} == set(statuses)
    for one in found.values():
        assert bool(one.problems) == (one.status != "parsed")
        assert set(one.scores) == set(DIMENSION_KEYS)
    assert any(set(one.scores.values()) - {0.0, 5.0} for one in found.values())


@pytest.mark.slow  # loads torch
def test_a_real_model_that_was_never_trained_to_judge_is_counted_as_failures():
    """The shipped tiny model behind an OpenAI-compatible server: it writes about lesions whatever it is asked."""
    with serving(LanguageModel(None, most_tokens=16)) as server:
        found = read(server, made_texts(1))
    assert [one.status for one in found.values()] == ["failed"]
    texts = JudgeReply.objects.values_list("text", flat=True)
    assert all(text.strip() for text in texts) and JudgeReply.objects.filter(completion_tokens__gt=0).count() == 1


def test_the_servers_find_the_candidate():
    with serving(candidate_in) as server:
        read(server, ["One.", "Two."])
    assert sorted(JudgeReply.objects.values_list("text", flat=True)) == ["One.", "Two."]
