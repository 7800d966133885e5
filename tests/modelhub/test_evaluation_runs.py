"""Runs that evaluate narratives: what is asked for, what is stored, what it adds up to, and what a kill costs."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from modelhub.jobs.base import run_job
from modelhub.models import (
    BenchmarkEntry,
    BenchmarkRun,
    Evaluation,
    EvaluationEntry,
    EvaluationRun,
    EvaluationScore,
    JudgeReply,
    Run,
)
from modelhub.services.benchmarks import request_benchmark
from modelhub.services.calibrating import compute_calibration
from modelhub.services.evaluating import request_evaluation
from modelhub.services.evaluations import evaluator_version
from modelhub.services.judges import change_terms
from modelhub.services.runs import reap, retry_run
from scoring.models import NarrativeVersion, Rating
from scoring.rubric import DIMENSION_KEYS
from scoring.services.queue import enqueue_versions
from tests.chat_server import Reply, chat, chat_server, error
from tests.factories import make_case, make_rater, make_source, make_study, make_version, rate
from tests.modelhub.checkpoints import SHORT, make_base
from tests.modelhub.datasets import make_dermbench
from tests.modelhub.judges import asked_words, call_in, candidate_in, honest, make_endpoint, make_judge
from tests.modelhub.workers import Worker, until

pytestmark = pytest.mark.django_db
CANARIES = 66  # calls: sixty planted texts and six plain ones


@pytest.fixture
def server():
    with chat_server() as running:
        running.answer = honest(lambda text: len(text) % 6)
        yield running


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def study_of(count: int, *, overlap: int = 1, **fields):
    study = make_study(overlap=overlap)
    texts = [make_version(text=f"{'x' * number} Psoriasis.", case=make_case(**fields)) for number in range(count)]
    enqueue_versions(study=study, versions=texts, actor=None)
    return study


def rated(count: int, by=lambda text: len(text) % 6):
    """A study in which one physician scores every text, sealed."""
    study = study_of(count)
    rater = make_rater(study)
    for _ in range(count):
        assignment = rate(study, rater, 3).assignment
        values = Rating.objects.get(assignment=assignment)
        values.scores.update(value=by(assignment.version.text))
    Rating.objects.update(sealed_at=timezone.now() - timedelta(hours=1))
    return study


class TestRun:
    def test_every_narrative_is_scored_and_everything_adds_up(self, server):
        row, study = make_judge(server, diagnosis=True), study_of(4, diagnosis="psoriasis")
        run = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        assert run.state == "succeeded", run.error
        assert (run.progress_done, run.progress_total) == (4, 4)
        results = EvaluationRun.objects.get(run=run).results
        assert (results["expected"], results["scored"], results["failed"], results["pending"]) == (4, 4, 0, 0)
        assert all(results["dimensions"][key]["judged"] == 4 for key in DIMENSION_KEYS)
        assert results["diagnosis"] == {"judged": 4, "right": 4, "of_judged": 1.0, "of_expected": 1.0}
        assert (results["replies"], results["cost"]) == (CANARIES + 8, None)
        assert results["evaluator"]["identity"] == row.identity_hash
        assert run.queue == "default"

    def test_failures_are_listed_apart_with_both_denominators(self, server):
        def answer(asked, before):
            words, text = asked_words(asked), candidate_in(asked)
            if text.startswith("xxx ") or (text.startswith("xx ") and "predicted_diagnosis" in words):
                return chat("No idea.")
            return honest(lambda text: 3)(asked, before)

        server.answer = answer
        study = study_of(4, diagnosis="psoriasis")
        run = finished(request_evaluation(evaluator=make_judge(server, diagnosis=True), pool=study, actor=None))
        results = EvaluationRun.objects.get(run=run).results
        assert (results["expected"], results["scored"], results["failed"]) == (4, 3, 1)
        assert (results["dimensions"]["safety"]["judged"], results["dimensions"]["safety"]["missing"]) == (3, 1)
        diagnosis = results["diagnosis"]
        assert (diagnosis["judged"], diagnosis["of_judged"], diagnosis["of_expected"]) == (2, 1.0, 0.5)
        failed = EvaluationEntry.objects.get(state="failed")
        assert failed.error.startswith("The judge's answer could not be read: no JSON object")
        assert set(failed.evaluation.scores.values_list("value", flat=True)) == {None}

    def test_an_unchanged_second_run_costs_nothing(self, server):
        row, study = make_judge(server, terms={"usd_per_million_in": 1, "usd_per_million_out": 1}), study_of(3)
        first = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        asked = len(server.asked)
        second = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        assert second.state == "succeeded" and len(server.asked) == asked == CANARIES + 3
        results = [EvaluationRun.objects.get(run=run).results for run in (first, second)]
        assert results[0]["cost"] > 0 and (results[1]["replies"], results[1]["cost"]) == (0, None)
        assert results[0]["dimensions"] == results[1]["dimensions"]

    def test_a_used_up_budget_is_a_clear_end_and_raising_it_goes_on(self, server):
        def dear(asked, before):
            said = json.loads(honest(lambda text: 3)(asked, before).body)
            said["usage"] = {"prompt_tokens": 2_000, "completion_tokens": 100}
            return Reply(json.dumps(said).encode())

        server.answer = dear
        row, study = make_judge(server, concurrency=1), study_of(3)
        row = change_terms(evaluator=row, terms={"budget_tokens": 20_000}, actor=None)
        run = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        assert run.state == "failed" and "The budget of 20,000 tokens a run is used up" in run.error
        told = len(server.asked)
        assert 0 < told == JudgeReply.objects.count() <= 20_000 // 2_100
        change_terms(evaluator=row, terms={"budget_tokens": 10_000_000}, actor=None)
        retry_run(run=run, actor=None)
        assert finished(run).state == "succeeded", run.error
        assert len(server.asked) == CANARIES + 3

    def test_a_server_that_is_away_leaves_the_rest_pending(self, server):
        server.answer = lambda asked, before: error(503)
        row, study = make_judge(server), study_of(2)
        run = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        assert run.state == "failed" and "gives no answers" in run.error
        assert set(EvaluationEntry.objects.values_list("state", flat=True)) == {"pending"}

    def test_an_untrusted_judge_is_marked_in_the_results(self, server):
        server.answer = honest(lambda text: 5)
        run = finished(request_evaluation(evaluator=make_judge(server), pool=study_of(1), actor=None))
        assert run.state == "succeeded"
        summary = EvaluationRun.objects.get(run=run).results["evaluator"]
        assert summary["canaries"]["judged"] == 60 and summary["distrust"] == ""  # it never moved towards a plant
        server.answer = honest(lambda text: 5 if "5" in text else 0 if "0" in text else 2.5)
        other = make_judge(server, temperature=0.7)
        run = finished(request_evaluation(evaluator=other, pool=study_of(1), actor=None))
        assert "planted scores move it" in EvaluationRun.objects.get(run=run).results["evaluator"]["distrust"]


class TestReferences:
    def test_a_case_is_compared_with_another_certified_or_imported_text(self, server):
        case = make_case()
        study = make_study(overlap=1)
        candidate = make_version(case=case, text="Candidate.")
        reference = make_version(case=case, text="The reference.", author_kind=NarrativeVersion.Author.IMPORT)
        enqueue_versions(study=study, versions=[candidate], actor=None)
        row = make_judge(server, protocol="reference")
        run = finished(request_evaluation(evaluator=row, pool=study, actor=None))
        assert run.state == "succeeded", run.error
        assert EvaluationEntry.objects.get().reference == reference
        words = [asked_words(asked) for asked in server.asked if candidate_in(asked) == "Candidate."]
        assert len(words) == 1 and "\nThe reference.\n" in words[0]
        assert Evaluation.objects.get(version=candidate).reference_sha256 == reference.sha256

    def test_without_any_reference_a_comparing_judge_is_refused(self, server):
        with pytest.raises(ValidationError, match="Choose a judge without a reference"):
            request_evaluation(evaluator=make_judge(server, protocol="reference"), pool=study_of(1), actor=None)

    def test_cases_that_must_stay_are_named(self):
        away = make_judge(model=make_endpoint(url="https://api.example.org/v1"))
        study = study_of(1, source=make_source(may_leave_site=False))
        with pytest.raises(ValidationError, match="does not let pictures leave"):
            request_evaluation(evaluator=away, pool=study, actor=None)
        assert not Run.objects.filter(kind="evaluation").exists()

    def test_an_empty_pool_is_refused(self, server):
        with pytest.raises(ValidationError, match="There are no narratives"):
            request_evaluation(evaluator=make_judge(server), pool=make_study(), actor=None)


class TestDermBench:
    def test_a_judge_scores_candidates_beside_their_certified_references(self, server):
        dataset, model = make_dermbench(2, drawn=False), make_base()
        row = make_judge(server, protocol="reference", model=make_endpoint(server, family="qwen"))
        run = request_benchmark(
            dataset=dataset, models=[model], evaluator=str(row.public_id), settings=SHORT, actor=None
        )
        assert finished(run).state == "succeeded", run.error
        benchmark = BenchmarkRun.objects.get(run=run)
        assert benchmark.results["models"][0]["scored"] == 2
        assert benchmark.results["evaluator"]["identity"] == row.identity_hash
        assert benchmark.manifest["evaluator_family"] == "qwen"
        reference = dataset.items.first().version
        entry = BenchmarkEntry.objects.order_by("pk").first()
        assert entry.evaluation.reference_sha256 == reference.sha256
        assert any(reference.text in asked_words(asked) for asked in server.asked)
        asked = len(server.asked)
        again = make_judge(model=row.model, protocol="free")
        rescored = finished(request_evaluation(evaluator=again, pool=benchmark, actor=None))
        texts = set(run.generations.values_list("version__text", flat=True))  # equal ones are asked about once
        assert rescored.state == "succeeded" and len(server.asked) == asked + CANARIES + len(texts)

    def test_an_unknown_evaluator_is_named(self):
        with pytest.raises(ValidationError, match="no evaluator “oracle”"):
            evaluator_version("oracle")


class TestCalibration:
    def test_a_judge_is_held_against_first_sealed_scores_of_the_same_texts(self, server):
        study = rated(14)
        row = make_judge(server)
        finished(request_evaluation(evaluator=row, pool=study, actor=None))
        row.refresh_from_db()
        found = row.calibration
        assert (found["texts"], found["ratings"], found["simulated"]) == (14, 14, 0)
        safety = found["dimensions"]["safety"]
        assert (safety["n"], safety["mae"]["value"], safety["skill"]["value"]) == (14, 0, 1)

    def test_a_constant_5_has_no_skill(self, server):
        server.answer = honest(lambda text: 5)
        row = make_judge(server)
        finished(request_evaluation(evaluator=row, pool=rated(14), actor=None))
        row.refresh_from_db()
        assert all(one["skill"]["value"] <= 0 for one in row.calibration["dimensions"].values())

    def test_scores_that_are_not_sealed_are_not_used(self, server):
        study = rated(12)
        row = make_judge(server)
        finished(request_evaluation(evaluator=row, pool=study, actor=None))
        Rating.objects.update(sealed_at=timezone.now() + timedelta(hours=1))
        assert compute_calibration(row)["ratings"] == 0
        assert compute_calibration(row)["dimensions"]["safety"]["n"] == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_killed_run_repeats_no_stored_answer(tmp_path):
    with chat_server() as server:
        answer = honest(lambda text: len(text) % 6)
        server.answer = lambda asked, before: Reply(answer(asked, before).body, delay_s=0.02)
        places = 3
        row, study = make_judge(server, terms={"concurrency": places}), study_of(60)
        run = request_evaluation(evaluator=row, pool=study, actor=None)
        worker = Worker(run.pk, tmp_path / "log")
        until(lambda: len(server.asked) >= 90)
        worker.kill()
        stored = set(JudgeReply.objects.values_list("token", flat=True))
        before = len(server.asked)
        assert stored and before < CANARIES + 60
        until(lambda: reap() > 0)
        Worker(run.pk, tmp_path / "log").wait()
        run.refresh_from_db()
        assert run.state == "succeeded", run.error
        repeated = [asked for asked in server.asked[before:] if call_in(asked) in stored]
        assert repeated == [] and len(server.asked) - (CANARIES + 60) <= places
        assert EvaluationScore.objects.filter(value=None).count() == 0
        assert Evaluation.objects.count() == 60 == EvaluationEntry.objects.filter(state="scored").count()
        assert json.loads(json.dumps(EvaluationRun.objects.get(run=run).results))["scored"] == 60
