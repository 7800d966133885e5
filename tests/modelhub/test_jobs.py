"""How a run ends: done, cancelled, failed in plain words, or given up because another worker has it."""

import time

import pytest
from django.utils import timezone

from modelhub.jobs.base import JOBS, LeaseRenewal, find_job, run_job
from modelhub.models import Run
from modelhub.services.runs import claim_run
from modelhub.tasks import run_on_default


@pytest.fixture
def make_run(monkeypatch, db):
    monkeypatch.setitem(JOBS, "statistics", "tests.modelhub.counting_job")

    def make(**plan) -> Run:
        return Run.objects.create(kind="statistics", title="Count", plan=plan, sent_at=timezone.now())

    return make


def after(run: Run) -> Run:
    run_on_default(run.pk)
    run.refresh_from_db()
    return run


def test_a_run_is_done_with_its_progress(make_run):
    run = after(make_run(count=3))
    assert (run.state, run.progress_done, run.message, run.error) == ("succeeded", 3, "3 done", "")
    assert run.finished_at and run.token is None


def test_a_second_message_does_nothing(make_run):
    run = after(make_run())
    finished = run.finished_at
    assert after(run).finished_at == finished
    assert run.attempt == 1


def test_a_cancelled_run_stops_between_two_steps(make_run):
    run = after(make_run(count=9, cancel_after=2))
    assert (run.state, run.progress_done) == ("cancelled", 3)


def test_our_own_sentences_are_shown_as_they_are(make_run):
    assert after(make_run(fail="sentence")).error == "The weights are missing. Register the model again."
    assert after(make_run(fail="refusal")).error == "This data set may not be trained on."


def test_an_unknown_error_shows_no_internals(make_run, caplog):
    run = after(make_run(fail="bug"))
    assert run.state == "failed"
    assert "KeyError" in run.error and f"run {run.pk}" in run.error
    assert "secret internals" not in run.error and "Traceback" not in run.error
    assert "secret internals" in caplog.text


def test_a_job_that_lost_its_token_stops_without_writing(make_run):
    run = after(make_run(count=5, lose_after=2))
    assert (run.state, run.progress_done, run.error) == ("queued", 2, "")


def test_a_kind_without_a_job_fails_with_a_sentence(db):
    run = after(Run.objects.create(kind="unheard-of", title="?", sent_at=timezone.now()))
    assert run.state == "failed" and "no job" in run.error


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_every_kind_names_a_module_with_a_job(kind):
    assert callable(find_job(kind))


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_the_job_works_and_the_thread_ends():
    run = Run.objects.create(kind="export", title="Export")
    lease = claim_run(run.pk)
    run.refresh_from_db()
    before = run.lease_expires
    with LeaseRenewal(lease, every_s=0.05) as _:
        time.sleep(0.5)
    run.refresh_from_db()
    assert run.lease_expires > before


@pytest.mark.django_db(transaction=True)
def test_renewal_stops_when_the_lease_is_lost():
    run = Run.objects.create(kind="export", title="Export")
    lease = claim_run(run.pk)
    renewal = LeaseRenewal(lease, every_s=0.05)
    with renewal:
        Run.objects.filter(pk=run.pk).update(state="queued", token=None, lease_expires=None)
        renewal.join(timeout=5)
        assert not renewal.is_alive()
    assert run_job(run.pk) is None
