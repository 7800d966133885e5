"""Generations: which model wrote which narrative, and how."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import Case, NarrativeVersion
from scoring.models.fields import PublicIdModel


class PromptVersion(PublicIdModel):
    """The words a model is asked with."""

    name = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    text = models.TextField()
    content_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="prompts_are_numbered_by_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class Generation(PublicIdModel):
    """A narrative to be written by a model in a run; done once ``version`` is set.

    ``settings`` holds decoding and seed, ``identity`` (what the backend said of itself: its name, weights, bias mode,
    device, library versions) and ``details`` of this one text. ``tokens`` is ``None`` where a server did not count;
    ``seconds``: the time in work, divided by the requests that shared it.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="generations")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="generations")
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="generations")
    version = models.OneToOneField(
        NarrativeVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    settings = models.JSONField(default=dict)
    tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "case", "model"],
                name="a_run_writes_once_per_case_and_model",
            ),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(version__isnull=False),
                name="a_finished_generation_has_its_text",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""),
                name="a_failed_generation_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.case}"
