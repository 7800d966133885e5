"""What calibration pages show: an example's case and text, agreed scores beside hers, kappa against the gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_language

from annotator.rating.narrative import case_context, image_urls, narrative_context, reference_of
from scoring.models import CalibrationAttempt, CalibrationExample, NarrativeVersion
from scoring.rubric import dimensions_in


@dataclass(frozen=True)
class FeedbackRow:
    """One dimension: the agreed level with its anchor and why, and hers, ``None`` where she gave none."""

    name: str
    agreed: int
    anchor: str
    why: str
    hers: int | None

    @property
    def distance(self) -> int:
        return 0 if self.hers is None else abs(self.hers - self.agreed)


@dataclass(frozen=True)
class KappaRow:
    """One dimension of a finished round; ``kappa`` is ``None`` where her answers did not vary enough to tell."""

    name: str
    kappa: float | None
    needed: float

    @property
    def passes(self) -> bool:
        return self.kappa is not None and self.kappa > self.needed


def example_context(version: NarrativeVersion, *, with_reference: bool = False) -> dict[str, Any]:
    case = version.narrative.case
    return {
        "version": version,
        "images": image_urls(case),
        "reference": reference_of(case) if with_reference else None,
        **case_context(version),
        **narrative_context(version, {}),
    }


def feedback_rows(example: CalibrationExample, hers: Mapping[str, int]) -> list[FeedbackRow]:
    return [
        FeedbackRow(
            name=dimension.name,
            agreed=example.scores[dimension.key],
            anchor=dimension.anchors[example.scores[dimension.key]],
            why=example.explanations.get(dimension.key, ""),
            hers=hers.get(dimension.key),
        )
        for dimension in dimensions_in(get_language())
    ]


def kappa_rows(attempt: CalibrationAttempt, gate: float) -> list[KappaRow]:
    kappas, needed = attempt.kappas or {}, max(gate, attempt.lenient)
    return [KappaRow(d.name, kappas.get(d.key), needed) for d in dimensions_in(get_language())]
