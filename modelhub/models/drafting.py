"""DermCoT drafts: a caption, the reasoning and a structured narrative, every stage of each kept."""

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from modelhub.models.generation import PromptVersion
from modelhub.models.model_version import ModelVersion
from modelhub.models.run import Run
from scoring.models import Case, NarrativeVersion, Study
from scoring.models.fields import PublicIdModel


class DraftingRun(models.Model):
    """One recipe on some cases. ``recipe_hash`` covers everything that could change a text but the case itself.

    ``manifest``: models, prompts, decoding, vocabulary, as plain data. ``budget_tokens`` bounds what one try may
    spend, ``None`` for no bound; ``spent_before``: what earlier tries had spent.
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="drafting")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="drafting_runs")
    study = models.ForeignKey(Study, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    conditioning = models.CharField(max_length=24, choices=NarrativeVersion.Conditioning)
    retry_leaks = models.BooleanField(default=False)
    settings = models.JSONField(default=dict)
    manifest = models.JSONField(default=dict)
    recipe_hash = models.CharField(max_length=64, db_index=True)
    budget_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    spent_before = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.run}"

    @property
    def tells_label(self) -> bool:
        return self.conditioning == NarrativeVersion.Conditioning.LABEL_AT_REASONING

    def tokens_spent(self) -> int:
        """Of prompts and answers, over all tries; what was copied cost nothing, what nobody counted is 0 here."""
        mine = DraftStage.objects.filter(draft__drafting=self, copied_from=None)
        spent = Coalesce(Sum("tokens"), 0) + Coalesce(Sum("prompt_tokens"), 0)
        return int(mine.aggregate(spent=spent)["spent"])


class Draft(PublicIdModel):
    """One case's way through the stages: done + leak + failed + pending = expected.

    *leak*: a stage was flagged and waits for an administrator; nothing of it is served before she lets it pass.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        LEAK = "leak", _("Held: leak")
        FAILED = "failed", _("Failed")

    drafting = models.ForeignKey(DraftingRun, on_delete=models.PROTECT, related_name="drafts")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    recipe_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    version = models.OneToOneField(NarrativeVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "recipe_hash"], name="a_case_is_drafted_once_by_one_recipe"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(version__isnull=False), name="a_finished_draft_has_its_narrative"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_draft_says_why"),
        ]

    def __str__(self) -> str:
        return f"Draft of {self.case}"


class DraftStageQuerySet(models.QuerySet["DraftStage"]):
    def answered(self, keys: list[str]) -> QuerySet["DraftStage"]:
        """What a backend has answered before to one of these very questions."""
        known = [DraftStage.State.DONE, DraftStage.State.LEAK]
        return self.filter(key__in=keys, copied_from=None, state__in=known).order_by("pk")


class DraftStage(models.Model):
    """One answer of a backend, or why there is none. Never overwritten: another try is another ``number``.

    ``asked``: the very words sent; ``key`` covers everything that could change the answer. ``text`` is raw. ``flags``:
    list of ``{"kind", "words"}``. ``copied_from``: the stage whose answer to the same question was used again.
    ``passed_at``: when an administrator let a flagged text pass, with her reason in ``pass_note``.
    """

    class Kind(models.TextChoices):
        CAPTION = "caption", _("Caption")
        REASONING = "reasoning", _("Reasoning")
        NARRATIVE = "narrative", _("Narrative")

    class State(models.TextChoices):
        DONE = "done", _("Done")
        LEAK = "leak", _("Leak")
        FAILED = "failed", _("Failed")

    draft = models.ForeignKey(Draft, on_delete=models.PROTECT, related_name="stages")
    kind = models.CharField(max_length=10, choices=Kind)
    number = models.PositiveSmallIntegerField()
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    asked = models.TextField()
    key = models.CharField(max_length=64, db_index=True)
    identity = models.JSONField(default=dict)
    text = models.TextField(blank=True)
    truncated = models.BooleanField(default=False)
    flags = models.JSONField(default=list)
    tokens = models.PositiveIntegerField(null=True, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State)
    error = models.TextField(blank=True)
    copied_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="copies")
    passed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    passed_at = models.DateTimeField(null=True, blank=True)
    pass_note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DraftStageQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["draft", "kind", "number"], name="tries_at_a_stage_are_numbered"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_stage_says_why"),
            models.CheckConstraint(
                condition=Q(passed_at__isnull=True) | (Q(state="leak") & ~Q(pass_note="")),
                name="only_a_leak_is_let_pass_and_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number} of {self.draft}"

    @property
    def is_usable(self) -> bool:
        """Whether the next stage may read it."""
        return self.state == self.State.DONE or self.passed_at is not None
