"""The lease protocol: one claimer, nothing written without the token, lost workers and lost messages made good."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from modelhub import tasks
from modelhub.models import Run
from modelhub.services import runs
from modelhub.services.runs import LeaseLost, claim_run, create_run, finish_run, reap, request_cancel, retry_run
from scoring.models import AuditEvent


def make_run(**fields) -> Run:
    values = {"kind": Run.Kind.EXPORT, "title": "Export", "sent_at": timezone.now()}
    return Run.objects.create(**(values | fields))


def lapse(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_expires=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db
class TestClaim:
    def test_a_claim_sets_a_token_and_counts_the_attempt(self):
        run = make_run()
        lease = claim_run(run.pk)
        run.refresh_from_db()
        assert (run.state, run.token, run.attempt) == ("running", lease.token, 1)
        assert run.lease_expires > timezone.now() and run.started_at

    def test_a_repeated_message_claims_nothing(self):
        run = make_run()
        assert claim_run(run.pk)
        assert claim_run(run.pk) is None

    def test_an_expired_lease_can_be_claimed_and_the_old_token_is_dead(self):
        run = make_run()
        old = claim_run(run.pk)
        lapse(run)
        new = claim_run(run.pk)
        assert new.token != old.token
        for write in (lambda: old.write(message="late"), old.renew, lambda: finish_run(lease=old, state="succeeded")):
            with pytest.raises(LeaseLost):
                write()
        run.refresh_from_db()
        assert (run.state, run.message, run.attempt) == ("running", "", 2)

    def test_work_under_a_lost_token_is_not_committed(self):
        run = make_run()
        lease = claim_run(run.pk)
        lapse(run)
        claim_run(run.pk)
        with pytest.raises(LeaseLost), lease.holding():
            make_run(title="never")
        assert not Run.objects.filter(title="never").exists()

    @pytest.mark.parametrize("fields", [{"cancel_requested": True}, {"attempt": 3}, {"state": "succeeded"}])
    def test_what_must_not_start_is_not_claimed(self, fields):
        assert claim_run(make_run(**fields).pk) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_claimers_one_wins():
    run = make_run()
    start, leases = threading.Barrier(8), []

    def claim() -> None:
        start.wait()
        leases.append(claim_run(run.pk))
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(leases) == 8
    assert sum(lease is not None for lease in leases) == 1
    run.refresh_from_db()
    assert run.attempt == 1


@pytest.mark.django_db(transaction=True)
def test_a_message_goes_out_only_on_commit_and_with_the_key_alone(monkeypatch):
    sent = []
    monkeypatch.setattr(
        "celery.app.task.Task.apply_async", lambda task, args=None, *a, **k: sent.append((task.name, args))
    )
    with transaction.atomic():
        run = create_run(kind=Run.Kind.TRAINING, title="Train", plan={"secret": 1}, actor=None)
        assert sent == []
    assert sent == [("modelhub.tasks.run_on_gpu", (run.pk,))]
    with pytest.raises(RuntimeError), transaction.atomic():
        create_run(kind=Run.Kind.EXPORT, title="Undone", plan={}, actor=None)
        raise RuntimeError
    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_the_run_waits_for_the_reaper(monkeypatch):
    def refuse(run_id: int) -> None:
        raise BrokerError("Connection refused")  # as Celery says when nothing listens

    monkeypatch.setattr(tasks.run_on_default, "delay", refuse)
    run = create_run(kind=Run.Kind.EXPORT, title="Export", plan={}, actor=None)
    run.refresh_from_db()
    assert (run.state, run.sent_at) == ("queued", None)


@pytest.mark.django_db
class TestReaper:
    def test_a_lost_workers_run_is_queued_and_sent_again(self):
        run = make_run()
        claim_run(run.pk)
        lapse(run)
        assert reap() == 2  # queued, sent
        run.refresh_from_db()
        assert (run.state, run.token, run.attempt) == ("queued", None, 1)
        assert run.sent_at is not None

    def test_a_live_lease_is_left_alone(self):
        run = make_run()
        claim_run(run.pk)
        assert reap() == 0

    def test_the_third_lost_worker_ends_the_run_with_a_sentence(self):
        run = make_run()
        for _ in range(3):
            claim_run(run.pk)
            lapse(run)
            reap()
        run.refresh_from_db()
        assert run.state == "failed"
        assert run.error.startswith("The worker stopped 3 times")
        assert claim_run(run.pk) is None

    def test_a_cancelled_run_of_a_lost_worker_is_cancelled(self):
        run = make_run()
        claim_run(run.pk)
        request_cancel(run=run, actor=None)
        lapse(run)
        reap()
        run.refresh_from_db()
        assert run.state == "cancelled"

    def test_a_lost_message_is_sent_again_but_not_a_fresh_one(self):
        lost = make_run(sent_at=timezone.now() - timedelta(seconds=40))
        fresh, unsent = make_run(), make_run(sent_at=None)
        assert reap() == 2
        for run in (lost, fresh, unsent):
            run.refresh_from_db()
            assert timezone.now() - run.sent_at < timedelta(seconds=5)
        assert reap() == 0

    def test_behind_a_working_queue_a_message_is_presumed_alive(self):
        claim_run(make_run().pk)
        make_run(sent_at=timezone.now() - timedelta(seconds=40))
        assert reap() == 0

    def test_messages_at_the_broker_are_capped(self, monkeypatch):
        monkeypatch.setattr(runs, "MAX_OUTSTANDING", 2)
        waiting = [make_run(sent_at=None) for _ in range(4)]
        assert reap() == 2
        assert Run.objects.filter(pk__in=[r.pk for r in waiting], sent_at__isnull=True).count() == 2


@pytest.mark.django_db
class TestCancelAndRetry:
    def test_a_waiting_run_is_cancelled_at_once(self):
        run = request_cancel(run=make_run(), actor=None)
        assert run.state == "cancelled" and run.finished_at

    def test_a_running_run_is_asked_to_stop(self):
        run = make_run()
        claim_run(run.pk)
        run = request_cancel(run=run, actor=None)
        assert run.state == "running" and run.cancel_requested

    def test_an_ended_run_cannot_be_cancelled(self):
        with pytest.raises(ValidationError, match="already ended"):
            request_cancel(run=make_run(state="succeeded"), actor=None)

    def test_a_failed_run_starts_afresh_with_three_attempts(self):
        run = retry_run(run=make_run(state="failed", error="why", attempt=3), actor=None)
        assert (run.state, run.attempt, run.error) == ("queued", 0, "")
        assert AuditEvent.objects.filter(action="run.retried", subject_id=str(run.public_id)).exists()

    @pytest.mark.parametrize("state", ["queued", "succeeded"])
    def test_only_an_ended_failure_can_be_retried(self, state):
        with pytest.raises(ValidationError, match="failed or was cancelled"):
            retry_run(run=make_run(state=state), actor=None)


@pytest.mark.django_db
def test_a_finished_run_leaves_a_trace():
    run = make_run()
    finish_run(lease=claim_run(run.pk), state=Run.State.SUCCEEDED)
    run.refresh_from_db()
    assert (run.state, run.token) == ("succeeded", None)
    assert AuditEvent.objects.filter(action="run.succeeded").exists()
