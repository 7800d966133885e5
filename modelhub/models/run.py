"""Runs: every piece of background work, as a row that is the truth about it."""

import uuid
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scoring.models.fields import PublicIdModel


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> Self:
        return self.filter(state__in=[Run.State.QUEUED, Run.State.RUNNING])

    def claimable(self, now: datetime) -> Self:
        """Queued, or running under a lease that ran out."""
        return self.filter(Q(state=Run.State.QUEUED) | Q(state=Run.State.RUNNING, lease_expires__lt=now))

    def held_under(self, token: uuid.UUID) -> Self:
        """The run as long as this token is the current one; every write goes through it."""
        return self.filter(token=token, state=Run.State.RUNNING)


class Run(PublicIdModel):
    """A unit of work for a worker. A message to the worker carries only its primary key.

    Lease protocol: a claim sets ``token`` and ``lease_expires`` and counts ``attempt``; a thread
    renews the lease; every write is conditional on the token.
    """

    class Kind(models.TextChoices):
        IMPORT = "import", _("Import cases")
        GENERATION = "generation", _("Write narratives")
        DRAFTING = "drafting", _("Draft DermCoT")
        TRAINING = "training", _("Train adapter")
        DERMEVAL = "dermeval", _("Train DermEval")
        BENCHMARK = "benchmark", "DermBench"
        EVALUATION = "evaluation", _("Evaluate narratives")
        EXPORT = "export", _("Export")
        REGISTRATION = "registration", _("Register model")
        STATISTICS = "statistics", _("Statistics")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    MAX_ATTEMPTS = 3

    kind = models.CharField(max_length=16, choices=Kind)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    plan = models.JSONField(default=dict, help_text="What the run was asked to do.")
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(null=True, blank=True)
    message = models.CharField(max_length=300, blank=True)
    error = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, blank=True)
    lease_expires = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="running") | Q(token__isnull=False, lease_expires__isnull=False),
                name="a_running_run_holds_a_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""),
                name="a_failed_run_says_why",
            ),
        ]
        indexes = [models.Index(fields=["state", "lease_expires"], name="runs_to_reap")]

    def __str__(self) -> str:
        return self.title

    @property
    def queue(self) -> str:
        return "gpu" if self.kind in GPU_KINDS or self.plan.get("on_gpu") else "default"

    @property
    def is_active(self) -> bool:
        return self.state in {self.State.QUEUED, self.State.RUNNING}

    @property
    def percent(self) -> int | None:
        """Progress in whole per cent; ``None`` while the total is unknown."""
        if not self.progress_total:
            return None
        return min(100, 100 * self.progress_done // self.progress_total)


GPU_KINDS = frozenset(
    {Run.Kind.GENERATION, Run.Kind.DRAFTING, Run.Kind.TRAINING, Run.Kind.DERMEVAL, Run.Kind.BENCHMARK}
)
