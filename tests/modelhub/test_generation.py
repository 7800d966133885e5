"""Generation runs with real model code on a random checkpoint: what is asked, written, resumed, refused."""

import pytest
from django.core.exceptions import ValidationError

from modelhub.jobs import loaded_models
from modelhub.jobs.base import run_job
from modelhub.models import Generation, ModelVersion, Run
from modelhub.services.generation import EXPERT_PROMPT, plan_generation, prompt_version, request_generation
from modelhub.services.runs import request_cancel, retry_run
from scoring.models import Assignment, Case, CaseImage, NarrativeVersion
from tests.factories import make_administrator, make_case, make_study
from tests.modelhub.checkpoints import SHORT, make_base

pytestmark = pytest.mark.django_db


def cases(count: int):
    keys = [make_case().pk for _ in range(count)]
    return Case.objects.filter(pk__in=keys)


def finished(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


class TestPlan:
    def test_says_what_the_run_will_do_and_writes_nothing(self):
        plan = plan_generation(cases=cases(3), model=make_base(), study=make_study(overlap=2), settings=SHORT)
        assert (plan["cases"], plan["slots"], plan["already"], plan["refused"]) == (3, 6, 0, [])
        assert plan["settings"] == {
            "do_sample": False,
            "temperature": 0.7,
            "top_p": 0.9,
            "repetition_penalty": 1.0,
            "no_repeat_ngram": 0,
            "max_new_tokens": 12,
            "min_pixels": 3136,
            "max_pixels": 1_003_520,
            "seed": 42,
            "batch_size": 2,
            "bias_mode": None,
        }
        assert not Run.objects.exists() and not Generation.objects.exists()

    def test_a_case_without_an_image_is_refused_by_name(self):
        bare = make_case(image=False)
        chosen = Case.objects.filter(pk__in=[bare.pk, make_case().pk])
        assert plan_generation(cases=chosen, model=make_base())["refused"] == [
            {"case": bare.code, "reason": "it has no image"}
        ]
        with pytest.raises(ValidationError, match=bare.code):
            request_generation(cases=chosen, model=make_base(), actor=None)

    @pytest.mark.parametrize(
        "bad", [{"temperature": 0}, {"top_p": 1.5}, {"max_new_tokens": 2.5}, {"seed": True}, {"beams": 3}]
    )
    def test_nonsense_is_refused(self, bad):
        with pytest.raises(ValidationError):
            plan_generation(cases=cases(1), model=make_base(), settings=bad)

    def test_a_study_that_has_not_started_takes_no_narratives(self):
        with pytest.raises(ValidationError, match="has not started"):
            request_generation(cases=cases(1), model=make_base(), study=make_study(started=False), actor=None)

    def test_no_case_is_no_run(self):
        with pytest.raises(ValidationError, match="at least one"):
            request_generation(cases=Case.objects.none(), model=make_base(), actor=None)


def test_the_same_words_are_the_same_prompt_version():
    first = prompt_version(text="Describe.")
    assert prompt_version(text="Describe.") == first
    assert prompt_version(text="Describe more.").number == first.number + 1


def test_narratives_are_written_with_everything_kept():
    actor, model = make_administrator(), make_base()
    run = request_generation(cases=cases(3), model=model, settings=SHORT, actor=actor)
    assert (run.state, run.progress_total, run.generations.count()) == ("queued", 3, 3)
    finished(run)
    assert (run.state, run.progress_done, run.message) == ("succeeded", 3, "3 narratives written"), run.error
    for row in run.generations.select_related("version__narrative", "prompt"):
        assert row.state == "done" and row.version.text.strip()
        assert row.version.author_kind == "machine" and row.version.narrative.case_id == row.case_id
        assert 1 <= row.tokens <= 12 and row.seconds > 0 and row.finished_at
        assert row.settings["seed"] == 42 and row.settings["max_new_tokens"] == 12
        assert row.settings["identity"]["weights_sha256"] == model.weights_hash
        assert row.settings["identity"]["bias_mode"] == "off"
        assert row.settings["identity"]["backend"] == "transformers"
        assert {"torch", "transformers", "pillow"} <= set(row.settings["identity"]["versions"])
        assert row.settings["details"]["prompt_tokens"] > 4
        assert row.prompt.text == EXPERT_PROMPT
        assert row.version.truncated is True or row.tokens <= 12


def test_finished_narratives_wait_in_the_studys_queue():
    study = make_study(overlap=2)
    run = finished(request_generation(cases=cases(2), model=make_base(), study=study, settings=SHORT, actor=None))
    assert run.state == "succeeded"
    assert Assignment.objects.filter(study=study).count() == 4


def test_the_model_stays_loaded_between_runs_and_another_takes_its_place():
    first, second = make_base(), make_base("Another", seed=1)
    finished(request_generation(cases=cases(1), model=first, settings=SHORT, actor=None))
    kept = next(iter(loaded_models._kept.values()))
    finished(request_generation(cases=cases(1), model=first, settings=SHORT, actor=None))
    assert next(iter(loaded_models._kept.values())) is kept
    finished(request_generation(cases=cases(1), model=second, settings=SHORT, actor=None))
    assert len(loaded_models._kept) == 1 and next(iter(loaded_models._kept.values())) is not kept


def test_a_resumed_run_writes_only_what_is_missing_and_the_same_text():
    chosen = cases(4)
    sampled = SHORT | {"do_sample": True, "batch_size": 3}
    whole = finished(request_generation(cases=chosen, model=make_base(), settings=sampled, actor=None))
    expected = dict(whole.generations.values_list("case", "version__text"))
    run = request_generation(cases=chosen, model=make_base(), settings=sampled | {"batch_size": 1}, actor=None)
    done = whole.generations.filter(state="done").first()
    version = done.version
    Generation.objects.filter(pk=done.pk).update(version=None, state="pending")
    run.generations.filter(case=done.case).update(version=version, state="done")
    before = NarrativeVersion.objects.count()
    finished(run)
    assert dict(run.generations.values_list("case", "version__text")) == expected
    assert run.generations.get(case=done.case).version == version
    assert NarrativeVersion.objects.count() - before == run.generations.filter(state="done").count() - 1


def test_one_unreadable_image_fails_by_itself_and_can_be_tried_again():
    chosen = cases(3)
    image = CaseImage.objects.filter(case__in=chosen).first()
    content = image.file.read()
    with open(image.file.path, "wb") as stream:
        stream.write(b"not a picture")
    run = finished(request_generation(cases=chosen, model=make_base(), settings=SHORT, actor=None))
    assert (run.state, run.message) == ("succeeded", "2 narratives written, 1 cases failed")
    assert run.generations.get(state="failed").error == "Its image cannot be read. Import the case again."
    with open(image.file.path, "wb") as stream:
        stream.write(content)
    Run.objects.filter(pk=run.pk).update(state="failed", error="looked at by the administrator")
    run.refresh_from_db()
    finished(retry_run(run=run, actor=None))
    assert run.generations.filter(state="done").count() == 3 == NarrativeVersion.objects.count()


def test_changed_weights_are_refused_in_plain_words():
    model = make_base()
    ModelVersion.objects.filter(pk=model.pk).update(weights_hash="0" * 64)
    model.refresh_from_db()
    run = finished(request_generation(cases=cases(1), model=model, settings=SHORT, actor=None))
    assert run.state == "failed"
    assert "have changed since it was registered" in run.error


def test_a_missing_checkpoint_is_named():
    model = make_base()
    ModelVersion.objects.filter(pk=model.pk).update(location="/nowhere/at/all", weights_hash="1" * 64)
    model.refresh_from_db()
    run = finished(request_generation(cases=cases(1), model=model, settings=SHORT, actor=None))
    assert run.state == "failed" and "/nowhere/at/all is not a folder" in run.error


def test_a_run_cancelled_before_its_first_batch_writes_nothing():
    run = request_generation(cases=cases(2), model=make_base(), settings=SHORT, actor=None)
    request_cancel(run=run, actor=None)
    assert finished(run).state == "cancelled"
    assert not NarrativeVersion.objects.exists()
