"""DermEval in the hub: trained from sealed first ratings, registered once per stage, scores a study's narratives."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from safetensors.torch import load_file, save_file

from modelhub.evaluators.base import EvaluationResult
from modelhub.evaluators.dermeval import DermEvalEvaluator
from modelhub.evaluators.providers import open_evaluator
from modelhub.jobs import dermeval as job
from modelhub.jobs.base import RunContext, run_job
from modelhub.ml.__main__ import main
from modelhub.ml.dermeval_format import read_critique
from modelhub.models import DermEvalTraining, EvaluationEntry, EvaluationRun, EvaluatorVersion, Run
from modelhub.services.calibrating import compute_calibration
from modelhub.services.dermeval import (
    adapter_folder,
    cases_learned_from,
    dermeval_settings,
    readings_of_each,
    register_stages,
    request_dermeval,
    training_of,
    usable_counts,
    usable_ratings,
)
from modelhub.services.evaluating import request_evaluation
from modelhub.services.evaluations import evaluator_of, store_evaluation
from modelhub.services.runs import claim_run
from scoring.models import Rating, Score, Source, Study
from scoring.rubric import DIMENSION_KEYS, DIMENSION_NAMES
from tests.factories import make_administrator, make_case, make_queue, make_rater, make_source, make_study, rate
from tests.modelhub.checkpoints import make_base
from tests.modelhub.hub_rows import make_model

pytestmark = pytest.mark.django_db
QUICK = {
    "sft_steps": 2,
    "rl_steps": 1,
    "batch": 2,
    "rank": 2,
    "alpha": 4,
    "max_new_tokens": 16,
    "checkpoint_every_steps": 1,
}


def rated_study(count: int = 8, *, sealed: bool = True, source: Source | None = None) -> Study:
    study = make_study()
    for _ in range(count):
        make_queue(study, 1, case=make_case(source=source))
    rater = make_rater(study)
    for number in range(count):
        rate(study, rater, float(number % 6), safety=None)
    if sealed:
        Rating.objects.update(sealed_at=timezone.now() - timedelta(minutes=1))
    return study


def no_lines() -> dict[str, Any]:
    """Nothing was held out."""
    return {"cases": 0, "narratives": 0, "lines": dict.fromkeys(DIMENSION_KEYS)}


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


class TrainerHere:
    """The trainer's command in this process, which has torch already; its own process is tested with the other
    trainings."""

    def __init__(self, folder: Path, command: list[str], *, cwd: Path) -> None:
        self.status = main(command[command.index("modelhub.ml") + 1 :])

    def poll(self) -> int:
        return self.status


@pytest.mark.slow
@pytest.mark.one_round
def test_it_is_trained_registered_and_scores_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "TrainerProcess", TrainerHere)
    actor, base, study = make_administrator(), make_base(synthetic=True), rated_study()
    asked = request_dermeval(base=base, study=study, settings=QUICK, actor=actor)
    assert asked.queue == "gpu"
    run = finished(asked)
    assert run.state == "succeeded", run.error
    training = DermEvalTraining.objects.get(run=run)
    assert {stage: [point["step"] for point in points] for stage, points in training.curves.items()} == {
        "sft": [1, 2],
        "rl": [1],
    }
    assert training.ratings.count() == 8
    rows = {row.identity["stage"]: row for row in EvaluatorVersion.objects.filter(provider="dermeval")}
    assert set(rows) == {"sft", "rl"}
    assert rows["sft"].identity_hash != rows["rl"].identity_hash
    assert rows["rl"].rubric == study.rubric
    assert training_of(rows["rl"]) == training
    assert set(cases_learned_from(rows["rl"])) == {one.version.narrative.case for one in usable_ratings(study)}
    evaluator_of(rows["rl"])  # nothing has changed since
    assert rows["rl"].identity["settings"]["reading"] == "fitted"
    assert rows["rl"].identity["lines"] == no_lines()  # eight narratives are too few to hold any out

    scored = finished(request_evaluation(evaluator=rows["rl"], pool=study, actor=actor))
    assert scored.queue == "gpu"
    entries = EvaluationEntry.objects.filter(evaluation_run=EvaluationRun.objects.get(run=scored))
    assert entries.count() == 8
    # sixteen letters of a random model are no critique: counted as unread, never as a score
    assert set(entries.values_list("state", flat=True)) == {"failed"}
    assert "no readable line" in entries[0].error

    before = training.adapters
    Run.objects.filter(pk=run.pk).update(state="queued")
    assert finished(run).state == "succeeded"
    training.refresh_from_db()
    assert training.adapters == before
    assert EvaluatorVersion.objects.filter(provider="dermeval").count() == 2

    weights = adapter_folder(training, "rl") / "adapter_model.safetensors"
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    version = study.ratings.first().version
    with pytest.raises(ValueError, match="have changed"):
        open_evaluator(rows["rl"]).evaluate(version, version.narrative.case)


def trained(reading: str, lines: dict[str, Any]) -> EvaluatorVersion:
    """The supervised stage of a training whose trainer left these lines; no weights."""
    study = rated_study()
    asked = QUICK | {"reading": reading}
    run = request_dermeval(base=make_base(synthetic=True), study=study, settings=asked, actor=None)
    training = DermEvalTraining.objects.get(run=run)
    training.adapters = {"sft": {"sha256": "1" * 64, "lines": lines}}
    training.save()
    return register_stages(training)[0]


def test_the_reading_that_was_asked_for_is_what_is_stored_and_its_lines_are_in_the_identity() -> None:
    line = {"offset": -1.0, "slope": 1.5, "narratives": 30}
    lines = {"cases": 8, "narratives": 30, "lines": dict.fromkeys(DIMENSION_KEYS, line) | {"safety": None}}
    other = lines | {"lines": lines["lines"] | {"accuracy": line | {"slope": 1.4}}}
    written = "\n".join(f"{name}: 4 – so; and so." for name in DIMENSION_NAMES.values())
    scored = SimpleNamespace(
        text=written,
        critique=read_critique(written),
        expected=dict.fromkeys(DIMENSION_KEYS, 3.0),
        tokens=60,
        seconds=0.5,
    )
    rows = {"fitted": trained("fitted", lines), "expected": trained("expected", lines)}
    rows["greedy"] = trained("greedy", lines)
    case = make_case()
    found = {
        reading: DermEvalEvaluator(row)._result(SimpleNamespace(case=case), scored).scores
        for reading, row in rows.items()
    }
    assert found["fitted"] == dict.fromkeys(DIMENSION_KEYS, 3.5) | {"safety": 3.0}
    assert found["expected"] == dict.fromkeys(DIMENSION_KEYS, 3.0)
    assert found["greedy"] == dict.fromkeys(DIMENSION_KEYS, 4.0)
    assert rows["expected"].identity["lines"] is None
    evaluator_of(rows["fitted"])
    training = training_of(rows["fitted"])
    training.adapters["sft"]["lines"] = other
    training.save()
    with pytest.raises(ValueError, match="has changed"):
        evaluator_of(rows["fitted"])


def test_a_critique_is_the_raters_words_or_the_rubrics() -> None:
    study = rated_study(8)
    score = Score.objects.filter(dimension="accuracy", value=3).first()
    score.comment = "Wrong lesion;\nname the border."
    score.save()
    run = request_dermeval(base=make_base(synthetic=True), study=study, settings=QUICK, actor=None)
    folder = job.run_folder(RunContext(run, claim_run(run.pk)))
    job.write_data(DermEvalTraining.objects.get(run=run), folder)
    rows = [json.loads(line) for line in (folder / "data" / "critiques.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["case"] for row in rows}) == 8
    said = {row["version"]: row["critiques"][0] for row in rows}[str(score.rating.version.public_id)]
    assert said["reasons"]["accuracy"] == "Wrong lesion;\nname the border."
    assert said["reasons"]["clinical_coverage"] == "The main parts are there; noticeable gaps."
    assert said["scores"]["safety"] is None
    assert said["reasons"]["safety"] == job.UNSAID


def test_only_sealed_first_scores_of_training_cases_count() -> None:
    assert not usable_ratings(rated_study(8, sealed=False)).exists()
    barred = rated_study(8, source=make_source(may_train=False))
    with pytest.raises(ValidationError, match="0 narratives"):
        request_dermeval(base=make_base(synthetic=True), study=barred, actor=None)
    assert not Run.objects.exists()


def test_a_right_withdrawn_after_the_request_stops_the_run() -> None:
    study = rated_study(8)
    run = request_dermeval(base=make_base(synthetic=True), study=study, settings=QUICK, actor=None)
    Source.objects.update(may_train=False)
    assert finished(run).state == "failed"
    assert "no longer allows training" in run.error


@pytest.mark.parametrize("bad", [{"sft_steps": 0}, {"momentum": 1}, {"reading": "best"}, {"device": "cuda"}])
def test_nonsense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        dermeval_settings(make_model(), bad, critiques=8)
    with pytest.raises(ValidationError, match="no base model"):
        request_dermeval(base=make_model(kind="endpoint"), study=make_study(), actor=None)


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, 31),  # 6 × 96 critiques × 0.85 that are not held out / 16 at once, rounded up
        ({"batch": 4}, 123),
        ({"reading": "greedy"}, 36),
        ({"sft_steps": 5, "batch": 4}, 5),
    ],
)
def test_steps_left_open_read_each_critique_six_times(given: dict[str, object], steps: int) -> None:
    assert dermeval_settings(make_model(synthetic=False), given, critiques=96)["sft_steps"] == steps


def test_a_run_is_as_long_as_its_critiques_ask() -> None:
    study = rated_study(8)
    assert usable_counts() == {study.pk: 8}
    run = request_dermeval(base=make_base(synthetic=True), study=study, settings={"reading": "expected"}, actor=None)
    settings = DermEvalTraining.objects.get(run=run).settings
    assert settings["sft_steps"] == run.plan["settings"]["sft_steps"] == 6  # × 8 at once: 8 critiques, six times
    assert readings_of_each(settings, 8) == 6.0


def test_a_calibration_leaves_out_whom_it_was_trained_on() -> None:
    study = rated_study(8)
    run = request_dermeval(base=make_base(synthetic=True), study=study, settings=QUICK, actor=None)
    training = DermEvalTraining.objects.get(run=run)
    training.learned.filter(pk__in=list(training.learned.values_list("pk", flat=True))[6:]).delete()
    training.adapters = {"sft": {"sha256": "1" * 64, "lines": no_lines()}}
    training.save()
    (row,) = register_stages(training)
    for rating in usable_ratings(study):
        result = EvaluationResult(dict.fromkeys(DIMENSION_KEYS, 3.0))
        store_evaluation(version=rating.version, evaluator=row, run=None, result=result)
    found = compute_calibration(row)
    assert (found["texts"], found["ratings"], found["learned_from"]) == (2, 2, 6)
