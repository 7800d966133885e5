"""Classification runs: closed labels and open-ended, both denominators, resumed, and the pages that show them."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from modelhub.evaluators.base import CannotEvaluate, Item
from modelhub.jobs.base import run_job
from modelhub.jobs.benchmark import compared_with
from modelhub.models import BenchmarkRun, Evaluation, EvaluationScore, JudgeReply, Leaderboard, Run
from modelhub.services.benchmarks import CLOSED, request_benchmark
from modelhub.services.evaluations import evaluator_of, store_evaluation
from modelhub.services.leaderboards import make_missing_leaderboards
from scoring.models import Case
from tests.chat_server import chat_server
from tests.factories import (
    make_administrator,
    make_case,
    make_rater,
    make_researcher,
    make_source,
    make_study,
)
from tests.modelhub.checkpoints import SHORT, make_base
from tests.modelhub.classifications import LABELS, finished, make_labelled, written
from tests.modelhub.judges import asked_words, call_in, honest, make_judge

pytestmark = pytest.mark.django_db


class TestAsking:
    def test_the_prompt_lists_the_labels_and_its_hash_is_in_the_manifest(self):
        dataset = make_labelled()
        run = request_benchmark(dataset=dataset, models=[make_base()], evaluator=CLOSED, actor=None)
        benchmark = BenchmarkRun.objects.get(run=run)
        assert [line[2:] for line in benchmark.prompt.text.splitlines() if line.startswith("- ")] == LABELS
        assert benchmark.prompt.name == "Closed labels"
        assert benchmark.manifest["prompt"] == benchmark.prompt.content_hash
        assert benchmark.manifest["dataset"] == dataset.content_hash
        assert benchmark.evaluator.identity["labels"] == LABELS

    def test_the_open_ended_prompt_names_no_label(self):
        run = request_benchmark(dataset=make_labelled(drawn=True), models=[make_base()], actor=None)
        prompt = BenchmarkRun.objects.get(run=run).prompt
        assert prompt.name == "Narrative" and not any(label in prompt.text for label in LABELS)

    def test_a_model_that_knows_only_its_own_prompt_is_asked_open_ended(self):
        dataset, tiny = make_labelled(drawn=True), make_base("Tiny", synthetic=True)
        with pytest.raises(ValidationError, match="Tiny understands only the words"):
            request_benchmark(dataset=dataset, models=[tiny], evaluator=CLOSED, actor=None)
        assert not Run.objects.exists()
        run = finished(request_benchmark(dataset=dataset, models=[tiny], settings=SHORT, actor=None))
        assert run.state == "succeeded", run.error
        (model,) = BenchmarkRun.objects.get(run=run).results["models"]
        assert model["scored"] + model["failed"] == model["expected"] == 4

    def test_a_judge_that_does_not_judge_diagnoses_is_refused(self):
        judge = make_judge()
        with pytest.raises(ValidationError, match="does not judge the final diagnosis"):
            request_benchmark(dataset=make_labelled(), models=[make_base()], evaluator=str(judge.public_id), actor=None)


def test_closed_labels_by_both_denominators_and_nothing_guessed():
    dataset = make_labelled()
    # eczema, eczema, melanoma, psoriasis
    run, benchmark = written(
        dataset,
        CLOSED,
        {
            "First": ["Eczema.", "Eczema or melanoma.", "Eczema.", "Not psoriasis."],
            "Second": ["Eczema.", "Eczema.", "Melanoma.", "I'm sorry, I can't help."],
        },
    )
    finished(run)
    assert run.state == "succeeded", run.error
    benchmark.refresh_from_db()
    first, second = (one["judged"] for one in benchmark.results["classification"])
    assert (first["expected"], first["judged"], first["right"]) == (4, 2, 1)
    assert (first["of_judged"]["mean"], first["of_expected"]["mean"]) == (0.5, 0.25)
    assert (second["expected"], second["judged"], second["right"]) == (4, 3, 3)
    assert [(m["expected"], m["scored"], m["failed"]) for m in benchmark.results["models"]] == [(4, 2, 2), (4, 3, 1)]
    errors = [failure["error"] for failure in benchmark.results["failures"]]
    several, none = ([e for e in errors if words in e] for words in ("names several", "affirms none"))
    assert (len(errors), len(several), len(none)) == (3, 1, 2) and "Eczema or melanoma." in several[0]
    assert "closed" not in benchmark.results["classification"][0]
    (pair,) = benchmark.results["pairs"]
    assert (pair["diagnosis"]["n"], pair["diagnosis"]["mean"]) == (2, 0.5)
    assert benchmark.results["models"][0]["dimensions"] == {} and benchmark.results["models"][0]["overall"] is None
    assert not EvaluationScore.objects.exists()


def test_an_answer_that_nobody_can_read_is_a_result_of_none_right():
    run, benchmark = written(make_labelled(), CLOSED, {"Mute": ["I cannot say."] * 4})
    finished(run)
    assert run.state == "succeeded", run.error
    benchmark.refresh_from_db()
    found = benchmark.results["classification"][0]["judged"]
    assert (found["judged"], found["of_judged"]["mean"], found["of_expected"]["mean"]) == (0, None, 0)


def test_the_frozen_label_counts_though_the_case_was_relabelled():
    run, benchmark = written(make_labelled(), CLOSED, {"First": ["Eczema.", "Eczema.", "Melanoma.", "Psoriasis."]})
    Case.objects.update(diagnosis="tinea")
    finished(run)
    benchmark.refresh_from_db()
    found = benchmark.results["classification"][0]["judged"]
    assert found["right"] == 4 and {one["label"] for one in found["classes"]} == set(LABELS)


def test_a_killed_run_goes_on_and_counts_nothing_twice():
    run, benchmark = written(make_labelled(), CLOSED, {"First": ["Eczema.", "Eczema.", "Melanoma.", "Nothing."]})
    entry = benchmark.entries.order_by("case_id").first()
    version = entry.generation.version
    result = evaluator_of(benchmark.evaluator).evaluate(version, entry.case)
    assert not isinstance(result, CannotEvaluate)
    kept = store_evaluation(
        version=version,
        evaluator=benchmark.evaluator,
        run=run,
        result=result,
        reference=compared_with(benchmark, Item(version, entry.case)),
    )
    entry.state, entry.evaluation = "scored", kept
    entry.save()
    Run.objects.filter(pk=run.pk).update(attempt=1)  # its worker died after one entry
    finished(run)
    benchmark.refresh_from_db()
    (model,) = benchmark.results["models"]
    assert (model["expected"], model["scored"], model["failed"]) == (4, 3, 1)
    assert Evaluation.objects.count() == 3
    assert benchmark.entries.get(pk=entry.pk).evaluation == kept
    assert (run.progress_done, run.progress_total) == (8, 8)


def test_a_run_that_breaks_while_storing_repeats_no_call(monkeypatch):
    """Its worker breaks when two of four verdicts are stored; the next one asks for nothing that was answered."""
    kept: list[int] = []

    def breaking(**fields):
        if len(kept) == 2:
            raise ConnectionError("The database went away.")
        kept.append(fields["version"].pk)
        return store_evaluation(**fields)

    with chat_server() as server:
        server.answer = honest(lambda text: 3)
        judge = make_judge(server, diagnosis=True, protocol="reference", concurrency=1)
        texts = ["Eczema.", "Rash.", "Melanoma.", "Psoriasis."]
        run, benchmark = written(make_labelled(), str(judge.public_id), {"First": texts})
        monkeypatch.setattr("modelhub.jobs.benchmark.store_evaluation", breaking)
        run_job(run.pk)
        stored = set(JudgeReply.objects.values_list("token", flat=True))
        before = len(server.asked)
        assert benchmark.entries.filter(state="scored").count() == 2 and stored
        monkeypatch.undo()
        Run.objects.filter(pk=run.pk).update(state="queued", attempt=1, error="")  # what a lost lease leaves
        finished(run)
        assert run.state == "succeeded", run.error
        assert [asked for asked in server.asked[before:] if call_in(asked) in stored] == []
        calls = [call_in(asked) for asked in server.asked]
        assert len(calls) == len(set(calls)) == JudgeReply.objects.count()
    benchmark.refresh_from_db()
    assert benchmark.results["classification"][0]["judged"]["right"] == 3
    assert Evaluation.objects.filter(run=run).count() == 4


def test_which_class_was_answered_for_which_and_why_answers_were_not_judged():
    texts = ["Eczema.", "Melanoma.", "Not melanoma.", "I'm sorry, I can't help with that."]
    run, benchmark = written(make_labelled(), CLOSED, {"First": texts})
    finished(run)
    benchmark.refresh_from_db()
    (model,) = benchmark.results["classification"]
    found = model["judged"]["confusion"]
    assert found["read"] == model["judged"]["judged"] == 2
    assert found["cells"] == [
        {"label": "eczema", "named": "eczema", "n": 1},
        {"label": "eczema", "named": "melanoma", "n": 1},
    ]
    assert [one["label"] for one in found["classes"]] == LABELS
    assert found["macro"]["sensitivity"]["mean"] == model["judged"]["balanced"]["mean"] == 0.5
    assert {why: n for why, n in model["unread"].items() if n} == {"doubted": 1, "refused": 1}
    assert sum(model["unread"].values()) + model["judged"]["judged"] == model["judged"]["expected"]


def test_a_judge_is_asked_for_the_diagnosis_alone_and_knows_synonyms():
    with chat_server() as server:
        server.answer = honest(lambda text: 3)
        judge = make_judge(server, diagnosis=True, protocol="reference")
        run, benchmark = written(
            make_labelled(), str(judge.public_id), {"First": ["Eczema.", "Rash.", "Melanoma.", "Psoriasis."]}
        )
        finished(run)
        assert run.state == "succeeded", run.error
        about = [asked_words(one) for one in server.asked if "The right diagnosis:" in asked_words(one)]
    benchmark.refresh_from_db()
    assert benchmark.results["classification"][0]["judged"]["right"] == 3
    assert len([words for words in about if "The colour is red." in words]) == 4
    assert not EvaluationScore.objects.filter(evaluation__run=run).exists()


def test_no_leaderboard_comes_of_it():
    run, _ = written(make_labelled(), CLOSED, {"First": ["Eczema."] * 4})
    finished(run)
    make_missing_leaderboards()
    assert not Leaderboard.objects.exists()


def test_tones_and_figures_without_seen_cases_are_of_the_diagnosis_alone():
    dataset = make_labelled(skin_tone="VI", skin_tone_scale="fitzpatrick")
    run, benchmark = written(dataset, CLOSED, {"First": ["Eczema."] * 4})
    finished(run)
    benchmark.refresh_from_db()
    results = benchmark.results
    (scale,) = results["fairness"][0]["scales"]
    assert set(scale) == {"scale", "diagnosis"}
    (tone,) = scale["diagnosis"]["groups"]
    assert (tone["group"], tone["n"]) == ("VI", 4)
    assert "overall" not in results["contamination"][0]


class TestPages:
    @pytest.fixture
    def admin(self, client):
        user = make_administrator()
        client.force_login(user)
        return user

    def test_freezing_starting_and_reading_a_run(self, client, admin):
        study, source = make_study(), make_source(name="Clinic photographs")
        for label in LABELS:
            make_case(source=source, split="evaluation", diagnosis=label)
        page = reverse("modelhub:classification")
        assert "Clinic photographs" in client.get(page).content.decode()
        sent = client.post(page, {"source": source.public_id, "study": study.public_id}, follow=True)
        assert "Classification v1 is frozen with 3 items." in sent.content.decode()
        again = client.post(page, {"source": source.public_id, "study": study.public_id})
        assert again.status_code == 422 and "Nothing has changed" in again.content.decode()
        model, dataset = make_base(), study.datasets.get()
        fields = {"dataset": dataset.public_id, "models": [model.public_id], "evaluator": CLOSED}
        start = reverse("modelhub:classification_start")
        assert "Closed labels" in client.get(start).content.decode()
        assert client.post(start, fields).status_code == 302
        assert BenchmarkRun.objects.get().dataset == dataset
        shown = client.get(reverse("modelhub:dataset_detail", args=[dataset.public_id])).content.decode()
        assert dataset.content_hash in shown and dataset.rule in shown and BenchmarkRun.objects.get().dataset == dataset

    def test_the_runs_page_shows_no_dimension_and_no_zero_for_one(self, client, admin):
        answers = {"First": ["Eczema.", "Eczema or melanoma.", "Eczema.", "Psoriasis."], "Second": ["Eczema."] * 4}
        run, _ = written(make_labelled(skin_tone="VI", skin_tone_scale="fitzpatrick"), CLOSED, answers)
        finished(run)
        html = client.get(reverse("modelhub:benchmark_detail", args=[run.public_id])).content.decode()
        assert "Safety" not in html and "Mean of six" not in html
        assert "Of those expected" in html and "Balanced accuracy" in html and "final diagnoses alone" in html
        assert "The answer names several of the listed labels" in html
        assert all(word in html for word in ("Sensitivity", "Specificity", "PPV", "NPV", "Macro F1"))
        assert "Several of the listed labels were named" in html and "Only pictures are compared here" in html
        assert client.get(reverse("modelhub:run_detail", args=[run.public_id])).status_code == 200
        assert client.get(reverse("modelhub:benchmark_records", args=[run.public_id])).status_code == 200
        assert "Classification v1" not in client.get(reverse("modelhub:dermbench")).content.decode()
        assert client.get(reverse("dashboard")).status_code == 200

    def test_more_versions_and_runs_ask_no_more_queries(self, client, admin):
        def asked() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(reverse("modelhub:classification")).status_code == 200
            return len(queries)

        model = make_base()
        request_benchmark(dataset=make_labelled(), models=[model], evaluator=CLOSED, actor=None)
        asked()
        few = asked()
        for _ in range(3):
            request_benchmark(dataset=make_labelled(), models=[model], evaluator=CLOSED, actor=None)
        assert asked() == few

    def test_a_run_of_more_cases_and_models_asks_no_more_queries(self, client, admin):
        def asked(dataset, texts) -> int:
            run, _ = written(dataset, CLOSED, texts)
            finished(run)
            page = reverse("modelhub:benchmark_detail", args=[run.public_id])
            client.get(page)
            with CaptureQueriesContext(connection) as queries:
                assert client.get(page).status_code == 200
            return len(queries)

        few = asked(make_labelled(("eczema", "psoriasis")), {"First": ["Eczema.", "No idea."]})
        many = make_labelled(("eczema", "psoriasis", "melanoma") * 3)
        assert asked(many, {"Second": ["No idea."] * 9, "Third": ["Eczema."] * 9}) == few

    def test_raters_stay_outside_and_researchers_freeze_nothing(self, client):
        page = reverse("modelhub:classification")
        client.force_login(make_rater(make_study()))
        assert client.get(page).status_code == 403
        client.force_login(make_researcher())
        assert (client.get(page).status_code, client.post(page).status_code) == (200, 403)
