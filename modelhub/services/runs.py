"""Runs: asking for background work, and the lease protocol under which workers do it.

The row is the truth and a message only rings the bell. A claim is one conditional UPDATE that must change one row;
from then on every write says *where the token is mine*. A lost worker's lease runs out and the reaper queues the row
again; a lost message is sent again. After ``Run.MAX_ATTEMPTS`` attempts a run fails and says so.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from modelhub.models import Run
from scoring.services.audit import record_event

logger = logging.getLogger(__name__)

MAX_OUTSTANDING = 200  # messages at the broker: a full one also keeps new workers from starting
RESEND_AFTER = timedelta(seconds=30)
RESEND_AT_LATEST = timedelta(minutes=10)
WORKER_LOST = (
    "The worker stopped {attempts} times before it could finish, most likely for lack of memory. "
    "Reduce the batch size or the number of cases and try again."
)


class LeaseLost(Exception):
    """Another worker holds this run now, or it was taken away; stop without writing."""


@dataclass(frozen=True)
class Lease:
    """The right to write about a run, as long as its token is the current one."""

    run_id: int
    token: uuid.UUID

    def write(self, **fields: Any) -> None:
        """Set fields of the run. Raises ``LeaseLost``."""
        if Run.objects.filter(pk=self.run_id).held_under(self.token).update(**fields) != 1:
            raise LeaseLost(f"run {self.run_id} is no longer held under {self.token}")

    def renew(self) -> None:
        self.write(lease_expires=timezone.now() + lease_time())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """A transaction that commits only while the lease is held: nobody can claim the run meanwhile."""
        with transaction.atomic():
            held = Run.objects.select_for_update().filter(pk=self.run_id).held_under(self.token)
            if not list(held.values_list("pk", flat=True)):
                raise LeaseLost(f"run {self.run_id} is no longer held under {self.token}")
            yield


def lease_time() -> timedelta:
    return timedelta(seconds=settings.RUN_LEASE_S)


@transaction.atomic
def create_run(*, kind: str, title: str, plan: dict[str, Any], actor: Any, total: int | None = None) -> Run:
    """Queue a piece of work; its message goes out when the surrounding transaction commits."""
    run = Run.objects.create(kind=kind, title=title[:200], plan=plan, created_by=actor, progress_total=total)
    record_event(actor=actor, action="run.requested", subject=run, detail={"kind": kind, "title": run.title})
    send(run)
    return run


def send(run: Run) -> bool:
    """Ring the worker's bell on commit; ``False`` when enough messages are out and the reaper will send it later."""
    outstanding = Run.objects.filter(state=Run.State.QUEUED, sent_at__isnull=False).exclude(pk=run.pk).count()
    if outstanding >= MAX_OUTSTANDING:
        return False
    Run.objects.filter(pk=run.pk).update(sent_at=timezone.now())
    transaction.on_commit(lambda: _ring(run.pk, run.queue))
    return True


def _ring(run_id: int, queue: str) -> None:
    from modelhub import tasks

    door = tasks.run_on_gpu if queue == "gpu" else tasks.run_on_default
    try:
        door.delay(run_id)
    except (BrokerError, OSError) as error:
        logger.warning("No message for run %s, the reaper will send it again: %s", run_id, error)
        Run.objects.filter(pk=run_id, state=Run.State.QUEUED).update(sent_at=None)


@transaction.atomic
def request_cancel(*, run: Run, actor: Any) -> Run:
    """Stop a run: at once where it only waits, between two steps of its work where it runs.

    Raises ``ValidationError`` when it has already ended.
    """
    now = timezone.now()
    waiting = Run.objects.filter(pk=run.pk, state=Run.State.QUEUED)
    stopped = waiting.update(state=Run.State.CANCELLED, cancel_requested=True, finished_at=now)
    if not stopped and not Run.objects.filter(pk=run.pk, state=Run.State.RUNNING).update(cancel_requested=True):
        raise ValidationError("This run has already ended.")
    record_event(actor=actor, action="run.cancel_requested", subject=run)
    run.refresh_from_db()
    return run


@transaction.atomic
def retry_run(*, run: Run, actor: Any) -> Run:
    """Queue a failed or cancelled run again; what it had finished stays finished.

    Raises ``ValidationError`` for a run that waits, runs or succeeded.
    """
    if not _queue_again(run, {Run.State.FAILED, Run.State.CANCELLED}):
        raise ValidationError("Only a run that failed or was cancelled can be tried again.")
    record_event(actor=actor, action="run.retried", subject=run)
    send(run)
    return run


@transaction.atomic
def continue_run(*, run: Run, actor: Any) -> Run:
    """Queue a run that has ended again, however it ended, because there is more for it to do.

    Raises ``ValidationError`` for a run that waits or runs.
    """
    if not _queue_again(run, {Run.State.SUCCEEDED, Run.State.FAILED, Run.State.CANCELLED}):
        raise ValidationError("This run has not ended yet.")
    record_event(actor=actor, action="run.continued", subject=run)
    send(run)
    return run


def _queue_again(run: Run, states: set[Run.State]) -> bool:
    """Whether the run was in one of these states and is queued now, read anew."""
    fresh = {"attempt": 0, "error": "", "message": "", "cancel_requested": False, "finished_at": None, "sent_at": None}
    ended = Run.objects.filter(pk=run.pk, state__in=states)
    queued = ended.update(state=Run.State.QUEUED, token=None, lease_expires=None, **fresh)
    run.refresh_from_db()
    return bool(queued)


def claim_run(run_id: int) -> Lease | None:
    """Take a queued run, or one whose lease ran out. ``None``: somebody else has it, or there is nothing to do."""
    now, token = timezone.now(), uuid.uuid4()
    claimed = (
        Run.objects.filter(pk=run_id, attempt__lt=Run.MAX_ATTEMPTS, cancel_requested=False)
        .claimable(now)
        .update(
            state=Run.State.RUNNING,
            token=token,
            lease_expires=now + lease_time(),
            attempt=F("attempt") + 1,
            started_at=Coalesce(F("started_at"), now),
        )
    )
    return Lease(run_id, token) if claimed == 1 else None


def finish_run(*, lease: Lease, state: str, error: str = "") -> None:
    """The run's last write. Raises ``LeaseLost``."""
    with lease.holding():
        lease.write(state=state, error=error, token=None, lease_expires=None, finished_at=timezone.now())
        run = Run.objects.get(pk=lease.run_id)
        record_event(actor=None, action=f"run.{state}", subject=run, detail={"attempt": run.attempt})


def reap() -> int:
    """Requeue runs whose worker is gone and ring again for runs whose message is; returns how many runs it moved."""
    now = timezone.now()
    expired = Run.objects.filter(state=Run.State.RUNNING, lease_expires__lt=now)
    moved = sum(_requeue(run, now) for run in expired)
    busy = {run.queue for run in Run.objects.filter(state=Run.State.RUNNING, lease_expires__gte=now)}
    for run in Run.objects.filter(state=Run.State.QUEUED).order_by("created_at"):
        if _needs_message(run, busy, now):
            with transaction.atomic():
                moved += send(run)
    return moved


@transaction.atomic
def _requeue(run: Run, now: datetime) -> int:
    """One expired run: cancelled, failed for good, or queued; 0 where somebody was faster."""
    fields: dict[str, Any] = {"token": None, "lease_expires": None}
    if run.cancel_requested:
        fields |= {"state": Run.State.CANCELLED, "finished_at": now}
    elif run.attempt >= Run.MAX_ATTEMPTS:
        error = WORKER_LOST.format(attempts=run.attempt)
        fields |= {"state": Run.State.FAILED, "finished_at": now, "error": error}
    else:
        fields |= {"state": Run.State.QUEUED, "sent_at": None}
    # the old token: a claim or a renewal since the row was read changes it or its expiry
    stale = Run.objects.filter(pk=run.pk, state=Run.State.RUNNING, token=run.token, lease_expires__lt=now)
    if not stale.update(**fields):
        return 0
    record_event(actor=None, action="run.lease_expired", subject=run, detail={"attempt": run.attempt})
    return 1


def _needs_message(run: Run, busy: set[str], now: datetime) -> bool:
    """Whether a queued run's message is presumably lost: sooner while nobody works its queue, ever less often."""
    if run.sent_at is None:
        return True
    if run.queue in busy:
        return now - run.sent_at > RESEND_AT_LATEST
    wait = min(RESEND_AT_LATEST, max(RESEND_AFTER, run.sent_at - run.created_at))
    return now - run.sent_at > wait
