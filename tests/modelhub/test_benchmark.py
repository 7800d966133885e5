"""DermBench runs with real model code: refused by name, entries add up, results by hand, resumed, exported."""

import io
import json
import math
import zipfile

import pytest
from django.core.exceptions import ValidationError

from modelhub.evaluators.synthetic_truth import SyntheticTruthEvaluator
from modelhub.jobs.base import run_job
from modelhub.models import BenchmarkEntry, BenchmarkRun, Evaluation, EvaluatorVersion, Generation, Run, SyntheticTruth
from modelhub.services.benchmark_results import compute_results
from modelhub.services.benchmarks import request_benchmark
from modelhub.services.evaluations import evaluator_of, evaluator_version, store_evaluation
from modelhub.services.exports import request_export
from scoring.models import Assignment, Case, NarrativeVersion
from scoring.rubric import DIMENSION_KEYS
from tests.factories import make_case, make_version
from tests.modelhub.checkpoints import SHORT, make_base
from tests.modelhub.datasets import LESION, make_dermbench, make_dermcot

pytestmark = pytest.mark.django_db
RIGHT = (
    "<think> The surrounding skin is dark in tone. The arrangement is solitary. The diameter is small. "
    "The shape is round. The colour is black. The border is irregular. </think>"
    "<answer> Melanoma-like lesion. Urgent referral for biopsy within two weeks is advised. </answer>"
)
WRONG = "<think> The colour is red. The shape is oval. </think><answer> Eczema-like lesion. </answer>"


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


class TestRefusals:
    def test_training_cases_are_no_benchmark(self):
        with pytest.raises(ValidationError, match="holds training cases"):
            request_benchmark(dataset=make_dermcot(1), models=[make_base()], actor=None)

    def test_a_case_without_a_known_truth_is_named(self):
        dataset = make_dermbench(2, drawn=False)
        with pytest.raises(ValidationError, match="drawn lesions only") as refused:
            request_benchmark(dataset=dataset, models=[make_base()], actor=None)
        assert all(case.code in str(refused.value) for case in Case.objects.all())

    @pytest.mark.parametrize("number", [0, 2])
    def test_models_are_at_least_one_and_different(self, number):
        with pytest.raises(ValidationError, match="Choose"):
            request_benchmark(dataset=make_dermbench(1), models=[make_base()] * number, actor=None)

    def test_models_asked_in_different_words_are_not_compared(self):
        models = [make_base(), make_base("Tiny", seed=1, synthetic=True)]
        with pytest.raises(ValidationError, match="different words"):
            request_benchmark(dataset=make_dermbench(1), models=models, actor=None)

    def test_an_unknown_evaluator_is_named(self):
        with pytest.raises(ValidationError, match="no evaluator “oracle”"):
            request_benchmark(dataset=make_dermbench(1), models=[make_base()], evaluator="oracle", actor=None)


def test_two_models_write_and_are_scored_and_everything_adds_up():
    dataset, models = make_dermbench(3), [make_base(), make_base("Other", seed=1)]
    run = finished(request_benchmark(dataset=dataset, models=models, settings=SHORT, actor=None))
    assert run.state == "succeeded", run.error
    assert (run.progress_done, run.progress_total) == (12, 12)
    benchmark = BenchmarkRun.objects.get(run=run)
    entries = BenchmarkEntry.objects.filter(benchmark=benchmark)
    assert entries.count() == 6
    for model, stored in zip(models, benchmark.results["models"], strict=True):
        assert stored["model"] == str(model.public_id)
        assert stored["expected"] == 3 == stored["scored"] + stored["failed"]
        assert set(stored["dimensions"]) == set(DIMENSION_KEYS)
    assert [(p["left"], p["right"]) for p in benchmark.results["pairs"]] == [tuple(str(m.public_id) for m in models)]
    assert benchmark.manifest["dataset"] == dataset.content_hash
    assert [model["weights"] for model in benchmark.manifest["models"]] == [m.weights_hash for m in models]
    candidates = NarrativeVersion.objects.filter(pk__in=run.generations.values("version"))
    assert not Assignment.objects.filter(version__in=candidates).exists()


def test_done_rows_are_not_written_again():
    dataset, model = make_dermbench(2), make_base()
    run = request_benchmark(dataset=dataset, models=[model], settings=SHORT, actor=None)
    row = run.generations.order_by("pk").first()
    version = make_version(case=row.case, text=RIGHT)
    Generation.objects.filter(pk=row.pk).update(state="done", version=version)
    entry = BenchmarkEntry.objects.get(generation=row)
    evaluator = evaluator_version("synthetic_truth")
    result = evaluator_of(evaluator).evaluate(version, row.case)
    kept = store_evaluation(version=version, evaluator=evaluator, run=run, result=result)
    BenchmarkEntry.objects.filter(pk=entry.pk).update(state="scored", evaluation=kept)
    Run.objects.filter(pk=run.pk).update(attempt=1)
    before = NarrativeVersion.objects.count()
    finished(run)
    entry.refresh_from_db()
    assert run.state == "succeeded" and entry.evaluation == kept
    assert NarrativeVersion.objects.count() - before <= 1
    assert Evaluation.objects.filter(version=version).count() == 1


def filled(texts: dict[str, list[str]]) -> tuple[BenchmarkRun, list]:
    """A run whose candidates are these texts, one list per model; scored by the exact evaluator."""
    models = [make_base(name, seed=number) for number, name in enumerate(texts)]
    run = request_benchmark(dataset=make_dermbench(len(next(iter(texts.values())))), models=models, actor=None)
    benchmark = BenchmarkRun.objects.get(run=run)
    evaluator = evaluator_of(benchmark.evaluator)
    for model, written in zip(models, texts.values(), strict=True):
        for entry, text in zip(benchmark.entries.filter(model=model).order_by("pk"), written, strict=True):
            if not text:
                entry.state, entry.error = "failed", "Its image cannot be read."
            else:
                version = make_version(case=entry.case, text=text)
                result = evaluator.evaluate(version, entry.case)
                entry.evaluation = store_evaluation(
                    version=version, evaluator=benchmark.evaluator, run=run, result=result
                )
                entry.state = "scored"
            entry.save()
    return benchmark, models


def test_means_intervals_and_paired_differences_by_hand():
    benchmark, models = filled({"Base": [WRONG, WRONG, RIGHT, ""], "Adapter": [RIGHT, RIGHT, RIGHT, RIGHT]})
    results = compute_results(benchmark, models)
    base, adapter = results["models"]
    accuracy = base["dimensions"]["accuracy"]
    assert (base["expected"], base["scored"], base["failed"]) == (4, 3, 1)
    # 1, 1, 5: mean 7/3, standard error 4/3, t(2) = 4.302653; on the logit scale: ± 4.302653 · 4/3 / (5 · 7/15 · 8/15)
    assert (accuracy["n"], accuracy["mean"]) == (3, pytest.approx(7 / 3))
    half = 4.302653 * 4 / 3 / (5 * 7 / 15 * 8 / 15)
    assert accuracy["low"] == pytest.approx(5 / (1 + 8 / 7 * math.exp(half)), abs=1e-4)
    assert base["diagnosis"]["mean"] == pytest.approx(1 / 3)
    assert adapter["dimensions"]["accuracy"]["mean"] == 5
    assert adapter["dimensions"]["accuracy"]["low"] is None and adapter["dimensions"]["accuracy"]["reason"]
    assert adapter["overall"]["mean"] == 5
    (pair,) = results["pairs"]
    difference = pair["dimensions"]["accuracy"]  # 4, 4, 0 over the three cases that both have
    assert (difference["n"], difference["mean"]) == (3, pytest.approx(8 / 3))
    assert difference["error"] == pytest.approx(4 / 3) and difference["high"] is None
    assert "too few" in difference["reason"]  # a resample of 4, 4, 4 has no spread
    assert results["failures"][0]["error"] == "Its image cannot be read."
    json.dumps(results, allow_nan=False)


def test_a_dimension_that_nobody_could_judge_is_unknown_not_zero():
    speechless = "<think> Nothing to say. </think><answer> Melanoma-like lesion. </answer>"
    benchmark, models = filled({"Base": [speechless, speechless]})
    (base,) = compute_results(benchmark, models)["models"]
    assert base["dimensions"]["medical_groundedness"] == {
        "n": 0, "mean": None, "low": None, "high": None, "reason": "no value",
    }  # fmt: skip
    assert base["overall"]["n"] == 0


def test_dermbenchs_archive_has_candidates_and_scores():
    benchmark, models = filled({"Base": [WRONG, RIGHT]})
    results = compute_results(benchmark, models)
    BenchmarkRun.objects.filter(pk=benchmark.pk).update(results=results)
    run = finished(request_export(dataset=benchmark.dataset, actor=None))
    assert run.state == "succeeded", run.error
    artifact = run.artifacts.get()
    with zipfile.ZipFile(io.BytesIO(artifact.file.read())) as archive:
        lines = [json.loads(line) for line in archive.read("runs/1/candidates.jsonl").splitlines()]
        assert json.loads(archive.read("runs/1/results.json"))["results"] == results
    assert [line["scores"]["accuracy"] for line in lines] == [1, 5]
    assert lines[0]["model"] == {"name": "Base", "weights_sha256": models[0].weights_hash}


class TestExactEvaluator:
    def test_says_what_it_is_and_keeps_its_identity(self):
        row = evaluator_version("synthetic_truth")
        assert row.name == "Exact evaluator for drawn lesions"
        assert evaluator_version("synthetic_truth") == row
        assert EvaluatorVersion.objects.count() == 1

    def test_another_identity_is_not_taken_for_the_same(self):
        row = evaluator_version("synthetic_truth")
        EvaluatorVersion.objects.filter(pk=row.pk).update(identity_hash="0" * 64)
        row.refresh_from_db()
        with pytest.raises(ValueError, match="has changed"):
            evaluator_of(row)

    def test_scores_differ_by_dimension(self):
        case = make_case()
        SyntheticTruth.objects.create(case=case, lesion=LESION.as_dict())
        evaluator = SyntheticTruthEvaluator()
        right = evaluator.evaluate(make_version(case=case, text=RIGHT), case)
        assert set(right.scores.values()) == {5.0} and right.diagnosis_right and right.parse_status == "exact"
        wrong = evaluator.evaluate(make_version(case=case, text=WRONG), case)
        assert wrong.scores["accuracy"] == 1 and wrong.scores["clinical_coverage"] == pytest.approx(5 / 3)
        assert wrong.scores["safety"] == 1 and not wrong.diagnosis_right

    def test_a_photograph_is_refused_with_a_sentence(self):
        assert "drawn lesions only" in SyntheticTruthEvaluator().refusal(make_case())
