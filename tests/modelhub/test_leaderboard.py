"""Leaderboards as a worker computes them: by hand, apart where they must be, fresh when something changed."""

import uuid

import pytest
from django.db.models import Avg
from django.utils import timezone

from modelhub.jobs.base import run_job
from modelhub.models import BenchmarkRun, Draft, Evaluation, EvaluationScore, Leaderboard, Run, Training
from modelhub.services.evaluations import evaluator_version
from modelhub.services.leaderboard_flags import flags_of
from modelhub.services.leaderboards import AFTER_FAILURE, request_leaderboards
from modelhub.services.score_tables import word_count
from scoring.models import DatasetVersion, Preference, PreferenceChoice
from scoring.models.preference import OVERALL
from scoring.rubric import DIMENSION_KEYS
from scoring.services.comparisons import create_comparison, enqueue_pairs
from scoring.services.preferences import claim_pair
from scoring.services.preferences import vote as give_vote
from scoring.services.queue import enqueue_versions
from tests.factories import make_administrator, make_rater, make_study, rate
from tests.modelhub import hub_rows
from tests.modelhub.board_rows import make_board, make_cases
from tests.modelhub.datasets import make_dermbench, make_dermcot
from tests.modelhub.drafters import make_held_draft

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make_administrator()


def computed() -> Leaderboard:
    """The only leaderboard, by the way the studio does it."""
    run = request_leaderboards()
    assert run is not None
    run_job(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.error
    return Leaderboard.objects.get()


def test_better_models_are_told_apart_and_equal_ones_share_a_letter(admin):
    benchmark = make_board([2.5, 3.5, 3.5], actor=admin, cases=make_cases(60), failed=4)
    board = computed()
    names = [model["name"] for model in board.machine["models"]]
    worst = benchmark.candidates.order_by("pk").first()
    assert names[-1] == worst.name
    overall = {model["name"]: model["overall"] for model in board.machine["models"]}
    assert {figure["letters"] for name, figure in overall.items() if name != worst.name} == {"a"}
    assert (overall[worst.name]["letters"], overall[worst.name]["best"], overall[worst.name]["worst"]) == ("b", 3, 3)
    assert {(f["best"], f["worst"]) for name, f in overall.items() if name != worst.name} == {(1, 2)}


def test_failures_are_counted_in_every_denominator_and_listed(admin):
    make_board([2.5, 3.5], actor=admin, cases=make_cases(30), failed=4)
    machine = computed().machine
    worse = machine["models"][-1]
    assert (worse["expected"], worse["scored"], worse["failed"]) == (30, 26, 4)
    assert worse["dimensions"]["safety"]["n"] == 26
    assert machine["pairs"][0]["overall"]["n"] == 26
    assert [failure["error"] for failure in machine["failures"]] == ["The server refused."] * 4


def test_patients_are_the_clusters(admin):
    make_board([2.5, 3.0], actor=admin, cases=make_cases(30, per_patient=3))
    (pair,) = computed().machine["pairs"]
    assert (pair["overall"]["n"], pair["overall"]["clusters"]) == (30, 10)


def test_nothing_averages_across_datasets_and_the_last_run_of_a_model_counts(admin):
    cases, dataset = make_cases(25), hub_rows.make_dataset(DatasetVersion.Kind.DERMBENCH, actor=admin)
    first = make_board([2.0, 2.5], actor=admin, cases=cases, dataset=dataset)
    model = first.candidates.order_by("pk").first()
    again = make_board([4.0], actor=admin, cases=cases, dataset=dataset, models=[model])
    make_board([1.0, 1.5], actor=admin, cases=make_cases(25))
    run_job(request_leaderboards().pk)
    board = Leaderboard.objects.get(dataset=dataset)
    assert Leaderboard.objects.count() == 2 and len(board.machine["models"]) == 2
    best = board.machine["models"][0]
    assert (best["model"], best["run"]) == (str(model.public_id), str(again.run.public_id))


def test_a_leaderboard_is_computed_once_and_again_when_a_run_ends(admin):
    cases, dataset = make_cases(25), hub_rows.make_dataset(DatasetVersion.Kind.DERMBENCH, actor=admin)
    make_board([2.0, 2.5], actor=admin, cases=cases, dataset=dataset)
    computed()
    assert request_leaderboards() is None
    make_board([3.0], actor=admin, cases=cases, dataset=dataset)
    assert len(computed().machine["models"]) == 3


def test_one_run_at_a_time(admin):
    make_board([2.0, 2.5], actor=admin, cases=make_cases(5))
    assert request_leaderboards() is not None and request_leaderboards() is None


def test_a_failure_is_not_repeated_every_few_seconds(admin):
    make_board([2.0, 2.5], actor=admin, cases=make_cases(5))
    run = request_leaderboards()
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED, error="Broken.", finished_at=timezone.now())
    assert request_leaderboards() is None
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - AFTER_FAILURE)
    assert request_leaderboards() is not None


def test_an_unfinished_benchmark_is_no_leaderboard(admin):
    hub_rows.make_benchmark(actor=admin, finished=False)
    assert request_leaderboards() is None and not Leaderboard.objects.exists()


def rated_board(admin, count: int) -> BenchmarkRun:
    """Two models on the cases of a real frozen version, so that people's judgements about them count."""
    dataset = make_dermbench(count, drawn=False)
    cases = [item.version.narrative.case for item in dataset.items.select_related("version__narrative__case")]
    return make_board([2.5, 3.5], actor=admin, cases=cases, dataset=dataset)


def test_people_stand_beside_and_speak_for_themselves_where_they_are_few(admin):
    benchmark = rated_board(admin, 8)
    study = make_study(overlap=2)
    raters = [make_rater(study), make_rater(study)]
    texts = [row.version for row in benchmark.run.generations.filter(model=benchmark.candidates.first())]
    enqueue_versions(study=study, versions=texts, actor=None)
    for value, rater in enumerate(raters, 2):
        for _ in texts:
            rating = rate(study, rater, value)
            type(rating).objects.filter(pk=rating.pk).update(sealed_at=rating.created_at)
    (rated,) = computed().people["ratings"]
    assert (rated["model"], rated["ratings"], rated["simulated"]) == (
        str(benchmark.candidates.first().public_id),
        16,
        0,
    )
    overall = rated["overall"]
    assert (overall["mean"], overall["raters"], overall["clusters"]) == (2.5, 2, 8)
    assert overall["these_raters_only"] is True


def test_means_are_corrected_to_people_s_beside_the_raw_ones(admin):
    """Physicians find 34 of 40 texts one point worse than the evaluator does."""
    benchmark = rated_board(admin, 40)
    model = benchmark.candidates.order_by("pk").first()
    study = make_study(overlap=1)
    rater = make_rater(study)
    entries = list(benchmark.entries.filter(model=model).select_related("evaluation__version").order_by("pk"))
    enqueue_versions(study=study, versions=[entry.evaluation.version for entry in entries[:34]], actor=None)
    said = {}
    for _ in range(34):
        rating = rate(study, rater, 3)
        type(rating).objects.filter(pk=rating.pk).update(sealed_at=rating.created_at)
        scores = EvaluationScore.objects.filter(evaluation__version=rating.version)
        for key, value in scores.values_list("dimension", "value"):
            said[rating.version_id, key] = max(0.0, value - 1.0)
            rating.scores.filter(dimension=key).update(value=said[rating.version_id, key])
    (found,) = computed().people["corrected"]
    safety = found["dimensions"]["safety"]
    raw = EvaluationScore.objects.filter(evaluation__in=[entry.evaluation for entry in entries], dimension="safety")
    assert (found["model"], safety["n"], safety["rated"], safety["unrated"]) == (str(model.public_id), 40, 34, 6)
    assert safety["raw"] == pytest.approx(raw.aggregate(mean=Avg("value"))["mean"])
    assert safety["bias"] > 0.8 and safety["low"] < safety["mean"] < safety["raw"] - 0.5
    assert set(found["dimensions"]) == set(DIMENSION_KEYS) and found["overall"]["rated"] == 34


def vote(benchmark: BenchmarkRun, study, rater, case, choice: str, number: int) -> None:
    left, right = (
        benchmark.run.generations.get(case=case, model=model).version for model in benchmark.candidates.all()
    )
    preference = Preference(
        study=study, case=case, left=left, right=right, rater=rater, origin="revision",
        client_uuid=f"00000000-0000-0000-0000-{number:012d}",
    )  # fmt: skip
    preference.save()
    PreferenceChoice(preference=preference, dimension="overall", choice=choice).save()


def test_only_blind_votes_count(admin):
    benchmark = rated_board(admin, 3)
    study = make_study()
    vote(benchmark, study, make_rater(study), benchmark.entries.first().case, "left", 1)
    assert computed().people["preferences"] == []


def test_blind_votes_make_a_standing(admin):
    benchmark = rated_board(admin, 4)
    study = make_study()
    rater, other = make_rater(study), make_rater(study)
    first, second = benchmark.candidates.order_by("pk")
    comparison = create_comparison(study=study, actor=admin, first_arm="A", second_arm="B", overlap=2)
    texts = {
        model: {row.case_id: row.version for row in benchmark.run.generations.filter(model=model)}
        for model in (first, second)
    }
    pairs = [(texts[first][case], texts[second][case]) for case in sorted(texts[first])]
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=admin)
    for person in (rater, other):
        for number in range(4):
            slot = claim_pair(study=study, rater=person)
            side = "right" if slot.first_is_left else "left"  # always the second model
            choice = "both_bad" if number == 0 else side
            choices = dict.fromkeys((OVERALL, *DIMENSION_KEYS), choice)
            give_vote(slot=slot, rater=person, client_uuid=uuid.uuid4(), choices=choices)
    people = computed().people["preferences"]
    assert {question["question"] for question in people} == {OVERALL, *DIMENSION_KEYS}
    (standing,) = people[0]["standings"]
    assert (standing["votes"], standing["clusters"], people[0]["both_bad"]) == (8, 4, 2)
    best = standing["models"][0]
    assert best["name"] == second.name and (best["wins"], best["losses"], best["ties"]) == (6, 0, 2)
    assert best["share"] > 0.6 and best["low"] is not None


class TestFlags:
    def judge(self, model):
        evaluator = evaluator_version("synthetic_truth")
        evaluator.model = model
        return evaluator

    def test_a_judge_of_the_same_family(self):
        judge, candidate = hub_rows.make_model(family="Qwen"), hub_rows.make_model(family="qwen ")
        assert flags_of(candidate, self.judge(judge)) == [{"kind": "family", "detail": "qwen"}]
        assert flags_of(hub_rows.make_model(family="llama"), self.judge(judge)) == []
        assert flags_of(hub_rows.make_model(), self.judge(hub_rows.make_model())) == []

    def test_a_judge_that_is_the_candidates_base(self):
        base = hub_rows.make_model()
        adapter = hub_rows.make_model(kind="adapter", base=base)
        assert flags_of(adapter, self.judge(base)) == [{"kind": "itself", "detail": base.name}]
        sister = hub_rows.make_model(kind="adapter", base=base)
        assert flags_of(adapter, self.judge(sister)) == [{"kind": "family", "detail": base.name}]

    def test_an_evaluator_that_scored_what_the_candidate_learnt_from(self):
        evaluator, dataset = evaluator_version("synthetic_truth"), make_dermcot(2)
        base = hub_rows.make_model()
        adapter = hub_rows.make_model(kind="adapter", base=base)
        Training.objects.create(run=hub_rows.make_run(kind="training"), base=base, dataset=dataset, result=adapter)
        assert flags_of(adapter, evaluator) == []
        scored = Evaluation.objects.create(
            version=dataset.items.first().version, evaluator=evaluator, parse_status="exact"
        )
        assert flags_of(adapter, evaluator) == []  # scored after the freeze: it chose nothing
        Evaluation.objects.filter(pk=scored.pk).update(created_at=dataset.study.created_at)
        assert flags_of(adapter, evaluator) == [{"kind": "circular", "detail": str(dataset)}]
        assert flags_of(base, evaluator) == []

    def test_a_judge_that_drafted_what_the_candidate_learnt_from(self):
        judge, base, dataset = hub_rows.make_model(), hub_rows.make_model(), make_dermcot(1)
        adapter = hub_rows.make_model(kind="adapter", base=base)
        Training.objects.create(run=hub_rows.make_run(kind="training"), base=base, dataset=dataset, result=adapter)
        assert flags_of(adapter, self.judge(judge)) == []
        version = dataset.items.first().version
        draft = make_held_draft(judge, version.narrative.case)
        Draft.objects.filter(pk=draft.pk).update(version=version, state=Draft.State.DONE)
        assert flags_of(adapter, self.judge(judge)) == [{"kind": "circular", "detail": str(dataset)}]


def test_words_are_counted_in_both_scripts():
    assert word_count("A brown, oval plaque.") == 4
    assert word_count("棕色斑块 plaque") == 5
    assert word_count("") == 1


def test_every_dimension_is_compared(admin):
    make_board([2.5, 3.0], actor=admin, cases=make_cases(25))
    machine = computed().machine
    assert set(machine["pairs"][0]["dimensions"]) == set(DIMENSION_KEYS)
    assert machine["pairs"][0]["overall"]["p_holm"] is not None
    assert machine["pairs"][0]["diagnosis"]["p"] is None  # nobody judged it
    assert set(machine["length"]) == {"pooled", "own"} and machine["length"]["own"]["n"] == 50
