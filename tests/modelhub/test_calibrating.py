"""An evaluator in parts, asked twice, and against its former version."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from modelhub.evaluators.base import EvaluationResult
from modelhub.models import EvaluationRun, EvaluatorVersion, JudgeReply, PoorNarrative, RetestEntry
from modelhub.services.calibrating import compute_calibration
from modelhub.services.evaluating import request_evaluation
from modelhub.services.evaluations import store_evaluation
from modelhub.services.retesting import retest_sample
from scoring.models import NarrativeVersion, Rating, Score
from scoring.rubric import DIMENSION_KEYS
from scoring.services.queue import enqueue_versions
from tests.chat_server import chat, chat_server
from tests.factories import make_case, make_rater, make_source, make_study, make_version
from tests.modelhub.judges import candidate_in, honest, make_judge
from tests.modelhub.test_evaluation_runs import CANARIES, finished, study_of

pytestmark = pytest.mark.django_db


def rated_texts(count: int, level=lambda number: number % 6, **case) -> list[NarrativeVersion]:
    """Texts of a case each, with one sealed first rating; every dimension the same level."""
    study = make_study(overlap=1)
    rater = make_rater(study)
    texts = [make_version(text=f"{number} Psoriasis.", case=make_case(**case)) for number in range(count)]
    enqueue_versions(study=study, versions=texts, actor=None)
    for number, slot in enumerate(study.assignments.order_by("version_id")):
        rating = Rating.objects.create(
            assignment=slot,
            study=study,
            purpose=slot.purpose,
            version=slot.version,
            rater=rater,
            rubric=study.rubric,
            client_uuid=uuid.uuid4(),
            is_first=True,
            sealed_at=timezone.now() - timedelta(hours=1),
        )
        Score.objects.bulk_create(Score(rating=rating, dimension=key, value=level(number)) for key in DIMENSION_KEYS)
    return texts


def score(row: EvaluatorVersion, texts: list[NarrativeVersion], by, status: str = "parsed") -> None:
    for number, text in enumerate(texts):
        scores = dict.fromkeys(DIMENSION_KEYS, by(number))
        store_evaluation(version=text, evaluator=row, run=None, result=EvaluationResult(scores, parse_status=status))


class TestParts:
    def test_tones_of_two_scales_are_two_parts_and_few_texts_say_nothing(self):
        row = make_judge()
        enough = rated_texts(30, skin_tone="V", skin_tone_scale="fitzpatrick")
        few = rated_texts(29, skin_tone="V", skin_tone_scale="monk")
        score(row, enough, lambda number: float(number % 6))
        score(row, few, lambda number: 5.0)
        parts = compute_calibration(row)["groups"]["skin_tone"]
        assert [(part["scale"], part["value"], part["n"]) for part in parts] == [
            ("fitzpatrick", "V", 30),
            ("monk", "V", 29),
        ]
        assert (parts[0]["dimensions"]["safety"]["mae"]["value"], parts[0]["dimensions"]["safety"]["reason"]) == (0, "")
        assert parts[1]["dimensions"]["safety"]["reason"] == "fewer than 30 texts have both scores"
        assert "mae" not in parts[1]["dimensions"]["safety"]

    def test_by_condition_source_and_how_the_text_was_made(self):
        row, source = make_judge(), make_source(name="Clinic A")
        ordinary = rated_texts(31, diagnosis="psoriasis", source=source)
        poor = rated_texts(30, level=lambda number: 1, diagnosis="eczema", source=source)
        for text, other in zip(poor, ordinary, strict=False):
            PoorNarrative.objects.create(version=text, made_from=other, kind="unsafe")
        score(row, ordinary, lambda number: float(number % 6))
        score(row, poor, lambda number: 4.0)
        groups = compute_calibration(row)["groups"]
        names = {by: [(part["value"], part["n"]) for part in parts] for by, parts in groups.items()}
        assert names["condition"] == [("psoriasis", 31), ("eczema", 30)]
        assert names["source"] == [("Clinic A", 61)]
        assert names["made"] == [("", 31), ("unsafe", 30)]
        assert groups["made"][1]["dimensions"]["safety"]["bias"]["value"] == 3

    def test_what_could_not_be_read_counts_in_the_rate(self):
        row, texts = make_judge(), rated_texts(4)
        score(row, texts[:3], lambda number: 3.0)
        score(row, texts[3:], lambda number: None, status="failed")
        parse = compute_calibration(row)["parse"]["accuracy"]
        assert (parse["right"], parse["n"], parse["mean"]) == (3, 4, 0.75)


class TestFormerVersion:
    def test_a_version_that_scores_two_points_more_leaves_the_old_interval(self):
        old, new = make_judge(), make_judge(temperature=0.3)
        texts = rated_texts(36, level=lambda number: number % 4)
        score(old, texts, lambda number: number % 4 + (0.5 if number % 2 else 0.0))
        score(new, texts, lambda number: min(5.0, number % 4 + 2.0))
        found = compute_calibration(new)["former"]
        assert (found["evaluator"], found["n"], found["reason"]) == (str(old.public_id), 36, "")
        assert {alarm["figure"] for alarm in found["alarms"]} == {"bias", "mae", "skill"}
        assert {alarm["dimension"] for alarm in found["alarms"]} == set(DIMENSION_KEYS)
        assert all(not alarm["low"] <= alarm["value"] <= alarm["high"] for alarm in found["alarms"])

    def test_one_that_scores_alike_does_not_and_the_first_has_none_before_it(self):
        old, new = make_judge(), make_judge(temperature=0.3)
        texts = rated_texts(36, level=lambda number: number % 4)
        for row in (old, new):
            score(row, texts, lambda number: number % 4 + (0.5 if number % 2 else 0.0))
        assert compute_calibration(new)["former"]["alarms"] == []
        assert compute_calibration(old)["former"] is None

    def test_few_shared_texts_raise_no_alarm(self):
        old, new = make_judge(), make_judge(temperature=0.3)
        texts = rated_texts(35)
        score(old, texts, lambda number: float(number % 6))
        score(new, texts[:10], lambda number: 0.0)
        found = compute_calibration(new)["former"]
        assert (found["n"], found["alarms"]) == (10, []) and "fewer than 30" in found["reason"]

    def test_another_name_is_another_evaluator(self):
        old, new = make_judge(), make_judge(name="Another judge", temperature=0.3)
        texts = rated_texts(3)
        for row in (old, new):
            score(row, texts, lambda number: 1.0)
        assert compute_calibration(new)["former"] is None


class TestAskedTwice:
    def test_the_same_texts_are_drawn_every_time(self):
        texts = [make_version(text=f"{number}.") for number in range(40)]
        drawn = retest_sample(texts)
        assert len(drawn) == 10 and retest_sample(texts[::-1]) == drawn
        assert retest_sample(texts[:4]) != [] and len(retest_sample(texts[:4])) == 4
        assert len(retest_sample(texts * 10)) == 12  # 3 % of 400

    def test_a_second_asking_goes_past_the_stored_answers_and_is_itself_stored(self):
        """Each text is asked about twice, the second answer one point higher; a third run asks nothing."""
        asked: list[str] = []

        def answer(question, before):
            text = candidate_in(question)
            if not text.endswith("x Psoriasis.") and text != " Psoriasis.":
                return honest(lambda text: 3)(question, before)
            asked.append(text)
            return honest(lambda text: 3 if asked.count(text) == 1 else 4)(question, before)

        with chat_server() as server:
            server.answer = answer
            row, study = make_judge(server), study_of(12)
            run = finished(request_evaluation(evaluator=row, pool=study, actor=None, retest=True))
            assert run.state == "succeeded", run.error
            assert (run.progress_done, run.progress_total) == (22, 22)
            assert len(server.asked) == CANARIES + 22 == JudgeReply.objects.count()
            again = finished(request_evaluation(evaluator=row, pool=study, actor=None, retest=True))
            assert again.state == "succeeded" and len(server.asked) == CANARIES + 22
        row.refresh_from_db()
        safety = row.calibration["retest"]["dimensions"]["safety"]
        assert (safety["n"], safety["within_one"]["mean"], safety["exact"]["mean"]) == (10, 1.0, 0.0)
        assert safety["difference"]["mean"] == 1.0 and row.calibration["retest"]["asked"] == 10
        assert row.evaluations.count() == 12  # no repeat is among the scores
        assert set(row.evaluations.values_list("scores__value", flat=True)) == {3.0}

    def test_a_second_answer_that_cannot_be_read_is_counted(self):
        seen: set[str] = set()

        def answer(question, before):
            text = candidate_in(question)
            if text == "x Psoriasis." and text in seen:
                return chat("No idea.")
            seen.add(text)
            return honest(lambda text: 3)(question, before)

        with chat_server() as server:
            server.answer = answer
            row = make_judge(server)
            run = finished(request_evaluation(evaluator=row, pool=study_of(3), actor=None, retest=True))
        row.refresh_from_db()
        assert run.state == "succeeded"
        assert (row.calibration["retest"]["asked"], row.calibration["retest"]["failed"]) == (3, 1)
        assert row.calibration["retest"]["dimensions"]["accuracy"]["n"] == 2
        assert RetestEntry.objects.get(state="failed").error.startswith("The judge's answer could not be read")

    def test_without_it_nothing_is_asked_twice(self):
        with chat_server() as server:
            server.answer = honest(lambda text: 3)
            row = make_judge(server)
            finished(request_evaluation(evaluator=row, pool=study_of(2), actor=None))
            assert len(server.asked) == CANARIES + 2
        row.refresh_from_db()
        assert not RetestEntry.objects.exists() and EvaluationRun.objects.get().results["scored"] == 2
        assert row.calibration["retest"]["dimensions"]["safety"] == {"n": 0, "reason": "no text has been scored twice"}
