"""Agreement as a worker computed it, for pages to read."""

from django.db import models

from scoring.models.study import RubricVersion, Study


class Agreement(models.Model):
    """One study under one rubric version; nothing is ever computed over two.

    ``columns``: the sealed first scores and the repeats as arrays (``services.sealed_scores``), so that new ratings are
    added without reading the old ones. ``ratings`` and ``key_sum`` (count and sum of their keys) tell whether it is
    still the same set. ``figures`` hold coefficients and pairs as of ``figures_at``; ``slow_parts`` the intervals by
    dimension and the raters' figures, each with its own time. ``revision`` counts writes: a slower worker's is dropped.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="agreements")
    rubric = models.ForeignKey(RubricVersion, on_delete=models.PROTECT, related_name="agreements")
    revision = models.PositiveIntegerField(default=0)
    columns = models.BinaryField(default=bytes)
    ratings = models.PositiveIntegerField(default=0)
    key_sum = models.PositiveBigIntegerField(default=0)
    sealed_until = models.DateTimeField(null=True, blank=True)
    figures = models.JSONField(default=dict)
    figures_at = models.DateTimeField(null=True, blank=True)
    slow_parts = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "rubric"], name="one_agreement_per_study_and_rubric"),
        ]

    def __str__(self) -> str:
        return f"Agreement in {self.study} under {self.rubric}"
