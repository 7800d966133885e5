"""Narratives and their immutable versions. No field here can name a model."""

import difflib
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from scoring.models.case import Case, Split
from scoring.models.fields import PublicIdModel
from scoring.narrative_format import STEP_KINDS, Step


class Narrative(PublicIdModel):
    """A chain of thought about one case, through all its versions."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="narratives")
    language = models.CharField(max_length=12, default="en")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Narrative {str(self.public_id)[:8]}"


class NarrativeVersionQuerySet(models.QuerySet["NarrativeVersion"]):
    def certified(self) -> Self:
        """Versions whose current certification says certified."""
        return self.filter(certifications__is_current=True, certifications__outcome="certified")

    def in_split(self, split: str) -> Self:
        return self.filter(narrative__case__group__split=Split(split))


class NarrativeVersion(PublicIdModel):
    """One immutable text. Ratings, marks, certifications and dataset items point here.

    ``steps``: list of ``{"kind", "start", "end"}``, half-open code-point offsets into ``text``.
    ``edit_distance``: characters inserted plus deleted against the parent, ``None`` without one.
    ``context_given``: which of the case's ``CONTEXT_FIELDS`` the author of the first draft was told
    beside the images, ``None`` where nobody knows. ``conditioning``: whether that draft was written by one who had been
    told the reference diagnosis; empty where nobody knows. Raters never see it.
    """

    CONTEXT_FIELDS = ("age", "sex", "body_site", "skin_tone")

    class Author(models.TextChoices):
        MACHINE = "machine", _("Machine")
        PERSON = "person", _("Person")
        IMPORT = "import", _("Import")

    class Origin(models.TextChoices):
        DRAFT = "draft", _("Draft")
        EDITED = "edited", _("Edited")
        FROM_SCRATCH = "from_scratch", _("From scratch")

    class Conditioning(models.TextChoices):
        NONE = "none", _("Not told the reference diagnosis")
        LABEL_AT_REASONING = "label_at_reasoning", _("Told the reference diagnosis while reasoning")

    narrative = models.ForeignKey(Narrative, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="revisions",
    )
    text = models.TextField()
    steps = models.JSONField()
    diagnosis = models.TextField(blank=True, help_text="Final diagnosis as read from the text.")
    truncated = models.BooleanField(default=False)
    context_given = models.JSONField(null=True, blank=True)
    conditioning = models.CharField(max_length=24, choices=Conditioning, blank=True)
    author_kind = models.CharField(max_length=8, choices=Author)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    origin = models.CharField(max_length=12, choices=Origin)
    edit_distance = models.PositiveIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = NarrativeVersionQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["narrative", "number"],
                name="versions_are_numbered_within_a_narrative",
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(author_kind="person", author__isnull=False)
                    | (~models.Q(author_kind="person") & models.Q(author__isnull=True))
                ),
                name="a_text_by_a_person_names_her",
            ),
            models.CheckConstraint(
                condition=~models.Q(origin="edited") | models.Q(parent__isnull=False),
                name="an_edited_version_has_a_parent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.narrative} v{self.number}"

    def step_list(self) -> list[Step]:
        return [Step(s["kind"], s["start"], s["end"]) for s in self.steps]

    def step_texts(self) -> list[dict[str, Any]]:
        """Steps as pages show them: number from 1, kind, heading where the kind changes, text."""
        shown: list[dict[str, Any]] = []
        previous = ""
        for number, step in enumerate(self.step_list(), start=1):
            heading = STEP_KINDS[step.kind] if step.kind != previous else ""
            previous = step.kind
            text = self.text[step.start : step.end]
            shown.append(
                {
                    "number": number,
                    "kind": step.kind,
                    "heading": heading,
                    "text": text,
                    "start": step.start,
                    "end": step.end,
                }
            )
        return shown


def edit_distance(before: str, after: str) -> int:
    """Characters deleted plus inserted to turn ``before`` into ``after`` (difflib's opcodes)."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return sum((i2 - i1) + (j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")
