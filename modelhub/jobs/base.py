"""Doing a run: claim it, keep its lease alive, call its job, store how it ended.

A job is a module of ``modelhub.jobs`` with ``run(context: RunContext) -> None``. It may be started again at any point
after its worker was killed, so it looks for what is already done before it does anything.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from modelhub.models import Run
from modelhub.services.runs import Lease, LeaseLost, claim_run, finish_run, lease_time

logger = logging.getLogger(__name__)

JOBS: dict[str, str] = {
    Run.Kind.IMPORT: "modelhub.jobs.imports",
    Run.Kind.GENERATION: "modelhub.jobs.generation",
    Run.Kind.DRAFTING: "modelhub.jobs.drafting",
    Run.Kind.TRAINING: "modelhub.jobs.training",
    Run.Kind.DERMEVAL: "modelhub.jobs.dermeval",
    Run.Kind.BENCHMARK: "modelhub.jobs.benchmark",
    Run.Kind.EVALUATION: "modelhub.jobs.evaluation",
    Run.Kind.EXPORT: "modelhub.jobs.export",
    Run.Kind.REGISTRATION: "modelhub.jobs.registration",
    Run.Kind.STATISTICS: "modelhub.jobs.leaderboard",
}
CANCEL_POLL_S = 0.5
UNEXPECTED = "The program met an error it does not know ({kind}). The worker's log has the details under run {run_id}."


class JobFailed(Exception):
    """A run that cannot go on; the message tells people why and what to do."""


class Cancelled(Exception):
    """Somebody asked the run to stop."""


class RunContext:
    """What a job has: its run, and the ways to write about it. Every write raises ``LeaseLost`` without the lease."""

    def __init__(self, run: Run, lease: Lease) -> None:
        self.run = run
        self.lease = lease
        self._polled = 0.0
        self._cancel = False

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Store how far the run is; ``total`` ``None`` leaves the total as it is."""
        fields: dict[str, Any] = {"progress_done": done, "message": message[:300]}
        if total is not None:
            fields["progress_total"] = total
        self.lease.write(**fields)

    def write(self, **fields: Any) -> None:
        self.lease.write(**fields)

    def holding(self) -> AbstractContextManager[None]:
        """One transaction for a finished piece of work, committed only under the lease."""
        return self.lease.holding()

    def should_stop(self) -> bool:
        """Whether somebody cancelled; asks the database at most twice a second."""
        if time.monotonic() - self._polled >= CANCEL_POLL_S:
            held = Run.objects.filter(pk=self.run.pk).held_under(self.lease.token)
            flag = held.values_list("cancel_requested", flat=True).first()
            if flag is None:
                raise LeaseLost(f"run {self.run.pk} is no longer held under {self.lease.token}")
            self._cancel, self._polled = flag, time.monotonic()
        return self._cancel

    def check(self) -> None:
        """Between two pieces of work. Raises ``Cancelled``."""
        if self.should_stop():
            raise Cancelled


class LeaseRenewal(threading.Thread):
    """Renews a lease three times per lease time until told to stop or the lease is lost."""

    def __init__(self, lease: Lease, every_s: float) -> None:
        super().__init__(name=f"lease-of-run-{lease.run_id}", daemon=True)
        self._lease, self._every_s, self._ended = lease, every_s, threading.Event()

    def run(self) -> None:
        try:
            while not self._ended.wait(self._every_s):
                self._renew()
        except LeaseLost:
            logger.warning("Run %s: the lease was lost", self._lease.run_id)
        finally:
            connection.close()

    def _renew(self) -> None:
        try:
            self._lease.renew()
        except DatabaseError:  # busy or away: the next beat may still be in time
            logger.warning("Run %s: the lease could not be renewed", self._lease.run_id, exc_info=True)
            connection.close()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(timeout=30)


def run_job(run_id: int) -> None:
    """Do a run if it can be claimed; a repeated or late message does nothing.

    Database outages leave the run to the reaper; every other error is stored in plain words.
    """
    lease = claim_run(run_id)
    if lease is None:
        logger.info("Run %s: nothing to claim", run_id)
        return
    run = Run.objects.select_related("created_by").get(pk=run_id)
    logger.info("Run %s (%s): attempt %s", run_id, run.kind, run.attempt)
    with LeaseRenewal(lease, lease_time().total_seconds() / 3):
        try:
            _do(run, lease)
        except LeaseLost:
            logger.warning("Run %s: another worker has it, stopped", run_id)


def _do(run: Run, lease: Lease) -> None:
    try:
        find_job(run.kind)(RunContext(run, lease))
    except LeaseLost:
        raise
    except Cancelled:
        finish_run(lease=lease, state=Run.State.CANCELLED)
    except (OperationalError, InterfaceError):
        logger.exception("Run %s: the database is away, left to the reaper", run.pk)
        raise
    except Exception as error:
        logger.exception("Run %s failed", run.pk)
        finish_run(lease=lease, state=Run.State.FAILED, error=plain_words(error, run.pk))
    else:
        finish_run(lease=lease, state=Run.State.SUCCEEDED)


def find_job(kind: str) -> Callable[[RunContext], None]:
    """The job of a kind. Raises ``JobFailed`` for a kind without one."""
    if kind not in JOBS:
        raise JobFailed(f"There is no job for runs of the kind “{kind}”.")
    job: Callable[[RunContext], None] = import_module(JOBS[kind]).run
    return job


def plain_words(error: Exception, run_id: int) -> str:
    """What people are told: our own sentences as they are, anything else without its stack trace."""
    if isinstance(error, JobFailed):
        return str(error)
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, MemoryError):
        return "The machine ran out of memory. Reduce the batch size and try again."
    return UNEXPECTED.format(kind=type(error).__name__, run_id=run_id)
