"""Judges over a real socket: what they are sent, what is stored, and what is asked again."""

import json
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from modelhub.evaluators.base import CannotEvaluate, Item
from modelhub.evaluators.prompts import LONGEST_CANDIDATE
from modelhub.models import EvaluatorVersion, JudgeReply
from modelhub.services.evaluations import evaluator_of
from modelhub.services.judges import register_judge
from scoring.rubric import CHINESE_DIMENSIONS, DIMENSION_KEYS, DIMENSIONS
from tests.chat_server import chat, chat_server, error
from tests.factories import make_case, make_source, make_version
from tests.modelhub.judged import FOUR, items, outcomes
from tests.modelhub.judges import asked_words, call_in, candidate_in, make_endpoint, make_judge

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = FOUR
        yield running


class TestWhatIsSent:
    def test_every_level_of_every_dimension_in_the_rubrics_words(self, server):
        outcomes(make_judge(server), items(1))
        words = asked_words(server.asked[0])
        for dimension in DIMENSIONS:
            assert dimension.question in words and all(anchor in words for anchor in dimension.anchors)
        chinese = make_judge(server, language="zh-hans")
        outcomes(chinese, items(1))
        words = asked_words(server.asked[1])
        assert all(anchor in words for dimension in CHINESE_DIMENSIONS for anchor in dimension.anchors)

    def test_the_reference_goes_to_the_judge_that_compares_and_to_no_other(self, server):
        outcomes(make_judge(server, protocol="reference"), items(1))
        outcomes(make_judge(server, protocol="free"), items(1))
        assert "Certified: psoriasis." in asked_words(server.asked[0])
        assert "Certified: psoriasis." not in asked_words(server.asked[1])
        assert not any(isinstance(asked.body["messages"][0]["content"], list) for asked in server.asked)

    def test_pictures_go_along_where_the_judge_takes_them(self, server):
        outcomes(make_judge(server, images=True), items(1))
        assert len(server.asked[0].images) == 1 and "The image of the case is attached." in asked_words(server.asked[0])

    def test_a_strict_schema_names_the_six_scores_and_this_call(self, server):
        outcomes(make_judge(server), items(1))
        asked = server.asked[0]
        form = asked.body["response_format"]["json_schema"]
        assert form["strict"] is True
        assert form["schema"]["properties"]["scores"]["required"] == list(DIMENSION_KEYS)
        assert form["schema"]["properties"]["call"]["enum"] == [call_in(asked)]

    def test_a_server_without_schemas_is_asked_plainly_from_then_on(self, server):
        def answer(asked, before):
            return error(400, "response_format is not supported") if "response_format" in asked.body else FOUR(asked, 0)

        server.answer = answer
        found = outcomes(make_judge(server, concurrency=1), items(3))
        assert [outcome.scores["safety"] for outcome in found] == [4, 4, 4]
        assert ["response_format" in asked.body for asked in server.asked] == [True, False, False, False]
        assert set(JudgeReply.objects.values_list("plainly", flat=True)) == {True}

    def test_the_end_of_a_long_candidate_is_shown_and_the_cut_is_stated(self, server):
        version = make_version(text="BEGINNING " + "x" * LONGEST_CANDIDATE + " THE END")
        outcomes(make_judge(server), [Item(version, version.narrative.case)])
        shown = candidate_in(server.asked[0])
        assert len(shown) == LONGEST_CANDIDATE and shown.endswith("THE END") and "BEGINNING" not in shown
        assert "Only the last 20,000 characters" in asked_words(server.asked[0])

    def test_fields_in_a_candidate_are_not_filled_in(self, server):
        version = make_version(text="See [[token]] and [[reference]].")
        outcomes(make_judge(server), [Item(version, version.narrative.case)])
        assert candidate_in(server.asked[0]) == version.text

    def test_a_text_that_must_stay_is_not_sent_away(self):
        case = make_case(source=make_source(may_leave_site=False))
        away = make_judge(model=make_endpoint(url="https://api.example.org/v1"))
        (found,) = outcomes(away, [Item(make_version(case=case), case)])
        assert isinstance(found, CannotEvaluate) and "does not let pictures leave" in str(found)

    def test_a_comparing_judge_without_a_reference_asks_nothing(self, server):
        version = make_version()
        (found,) = outcomes(make_judge(server, protocol="reference"), [Item(version, version.narrative.case)])
        assert isinstance(found, CannotEvaluate) and not server.asked


class TestAnswers:
    def test_scores_tokens_cost_and_time_are_known(self, server):
        row = make_judge(server, terms={"usd_per_million_in": 2, "usd_per_million_out": 10})
        (found,) = outcomes(row, items(1))
        assert found.scores == dict.fromkeys(DIMENSION_KEYS, 4.0) and found.parse_status == "parsed"
        assert (found.tokens, found.cost, found.critique) == (18, Decimal("0.000092"), "so")
        assert found.seconds > 0 and found.diagnosis_right is None

    def test_unknown_prices_are_an_unknown_cost(self, server):
        (found,) = outcomes(make_judge(server), items(1))
        assert found.cost is None and found.tokens == 18

    def test_the_final_diagnosis_is_judged_by_a_call_of_its_own(self, server):
        case = make_case(diagnosis="Psoriasis")
        some = [Item(make_version(case=case, text=text), case) for text in ("It is psoriasis.", "It is eczema.")]
        found = outcomes(make_judge(server, diagnosis=True), some)
        assert sorted(outcome.diagnosis_right for outcome in found) == [False, True]
        assert len(server.asked) == 4 and all(outcome.tokens == 36 for outcome in found)
        asked = [asked_words(one) for one in server.asked if "predicted_diagnosis" in asked_words(one)]
        assert all("broader class is wrong" in words and "synonyms" in words for words in asked)

    @pytest.mark.parametrize(
        ("reply", "status", "known"),
        [
            (chat("I would rather not say."), "failed", 0),
            (chat("", refusal="no"), "failed", 0),
            (chat('{"scores": {"accuracy": 5}}'), "failed", 0),
        ],
    )
    def test_an_answer_that_cannot_be_read_is_a_stored_failure(self, server, reply, status, known):
        server.answer = lambda asked, before: reply
        row = make_judge(server)
        for _ in range(2):  # the second time nothing is asked
            (found,) = outcomes(row, items(1))
            assert found.parse_status == status and found.problem
            assert sum(value is not None for value in found.scores.values()) == known
        assert len(server.asked) == 1

    def test_missing_scores_are_unknown_and_the_rest_is_kept(self, server):
        def answer(asked, before):
            scores = dict.fromkeys(DIMENSION_KEYS, 3) | {"safety": 7}
            return chat(json.dumps({"call": call_in(asked), "scores": scores, "justification": ""}))

        server.answer = answer
        (found,) = outcomes(make_judge(server), items(1))
        assert (found.parse_status, found.scores["safety"], found.scores["accuracy"]) == ("partial", None, 3)

    def test_thinking_that_a_server_sends_apart_is_not_the_answer(self, server):
        def answer(asked, before):
            low = {"call": call_in(asked), "scores": dict.fromkeys(DIMENSION_KEYS, 0), "justification": ""}
            high = low | {"scores": dict.fromkeys(DIMENSION_KEYS, 4)}
            return chat(json.dumps(high), reasoning_content=json.dumps(low))

        server.answer = answer
        (found,) = outcomes(make_judge(server), items(1))
        assert found.scores["accuracy"] == 4


class TestStoredAnswers:
    def test_a_second_run_asks_nothing(self, server):
        row, some = make_judge(server), items(3)
        first, second = outcomes(row, some), outcomes(row, some)
        assert len(server.asked) == 3 == JudgeReply.objects.count()
        assert [outcome.scores for outcome in first] == [outcome.scores for outcome in second]

    def test_equal_candidates_are_asked_once(self, server):
        some = [Item(version, version.narrative.case) for version in (make_version(), make_version())]
        assert len(outcomes(make_judge(server), some)) == 2 and len(server.asked) == 1

    def test_whatever_could_change_the_answer_is_asked_anew(self, server):
        (item,) = items(1)
        model = make_endpoint(server)
        rows = [
            make_judge(model=model),
            make_judge(model=model, temperature=0.5),
            make_judge(model=model, language="zh-hans"),
            make_judge(model=model, protocol="reference"),
            make_judge(model=model, images=True),
            make_judge(model=model, schema=False),
            make_judge(model=make_endpoint(server, name="Other", served_model="other")),
        ]
        assert len({row.identity_hash for row in rows}) == len(rows)
        for row in rows:
            outcomes(row, [item])
        outcomes(rows[3], [Item(item.version, item.case, "Another reference.")])
        assert len(server.asked) == len(rows) + 1 == JudgeReply.objects.count()

    def test_the_token_is_another_for_another_text_and_the_same_for_the_same(self, server):
        row, (one, two) = make_judge(server), items(2)
        outcomes(row, [one, two])
        JudgeReply.objects.all().delete()
        outcomes(row, [one])
        tokens = [call_in(asked) for asked in server.asked]
        texts = {candidate_in(asked): call_in(asked) for asked in server.asked}
        assert len(set(tokens)) == 2 and texts[one.version.text] == tokens[-1]

    def test_the_same_settings_are_the_same_evaluator(self, server):
        model = make_endpoint(server)
        row = make_judge(model=model)
        assert make_judge(model=model, name="Other name").pk == row.pk
        assert evaluator_of(row).identity() | {"rubric": row.rubric.content_hash} == row.identity
        row.identity["settings"]["temperature"] = 0.3
        with pytest.raises(ValueError, match="has changed"):
            evaluator_of(row)


class TestRegistering:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"name": " "}, "Give the evaluator a name"),
            ({"protocol": "oracle"}, "is no protocol"),
            ({"language": "la"}, "no language of the rubric"),
            ({"protocol": "reference", "images": True}, "compares two texts"),
            ({"temperature": 3.0}, "between 0 and 2"),
            ({"max_tokens": 1}, "64 to 100,000"),
            ({"terms": {"budget_tokens": -1}}, "lies between"),
            ({"terms": {"colour": 1}}, "is no term"),
        ],
    )
    def test_a_bad_setting_is_refused_with_what_to_do(self, changes, words):
        with pytest.raises(ValidationError, match=words):
            make_judge(**changes)
        assert not EvaluatorVersion.objects.exists()

    def test_a_local_model_is_no_judge(self):
        from tests.modelhub.hub_rows import make_model

        with pytest.raises(ValidationError, match="is not on a server"):
            register_judge(name="J", model=make_model(), protocol="free", actor=None)
