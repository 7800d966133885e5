"""The four terms of SkinGPT-R1's objective, each unweighted, each over the samples that can have it.

total = answer · CE + distill · [10 · mean(1 − cos)] + balance · aux + skin · CE(skin). A term without any input is
None: it is not zero, and it is not added. Source: arXiv 2511.15242, revision of September 2026.

Means are over the whole step: each batch of it contributes its sum divided by the step's count, so that how a step is
cut into batches changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from torch import Tensor
from torch.nn import functional

from modelhub.ml.train_settings import LossWeights

NO_LABEL = -100
DISTILL_FACTOR = 10.0


@dataclass(frozen=True)
class Counts:
    """What a step has of each term's input: answer tokens, images, images with teacher features, images with a skin
    label."""

    tokens: int
    images: int
    teachers: int
    labels: int

    @classmethod
    def total(cls, parts: Iterable["Counts"]) -> "Counts":
        columns = zip(*((p.tokens, p.images, p.teachers, p.labels) for p in parts), strict=True)
        return cls(*map(sum, columns))


@dataclass
class LossTerms:
    """Scalars, unweighted; None where nothing in the batch had the term's input."""

    answer: Tensor
    distill: Tensor | None = None
    balance: Tensor | None = None
    skin: Tensor | None = None

    def total(self, weights: LossWeights) -> Tensor:
        total = weights.answer * self.answer
        for term, weight in (
            (self.distill, weights.distill),
            (self.balance, weights.balance),
            (self.skin, weights.skin),
        ):
            if term is not None:
                total = total + weight * term
        return total

    def numbers(self) -> dict[str, float | None]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: None if term is None else float(term.detach()) for name, term in values.items()}


def sum_terms(parts: Iterable[dict[str, float | None]]) -> dict[str, float | None]:
    """A step's terms from its batches' shares; None where no batch had the term."""
    sums: dict[str, float | None] = {}
    for part in parts:
        for name, value in part.items():
            before = sums.get(name)
            sums[name] = before if value is None else value + (before or 0.0)
    return sums


def distillation_loss(vision_proj: Tensor, teacher: Tensor, present: Tensor, count: int) -> Tensor | None:
    """10 · Σ(1 − cos) / count over the images whose teacher features are present.

    vision_proj and teacher [images, width], present bool [images]; `count`: such images in the whole step.
    """
    if not bool(present.any()):
        return None
    cosine = functional.cosine_similarity(vision_proj[present], teacher[present], dim=-1)
    return DISTILL_FACTOR * (1 - cosine).sum() / count


def skin_loss(skin_logits: Tensor, labels: Tensor, count: int) -> Tensor | None:
    """Cross-entropy summed over the images with a label, divided by `count`, such images in the whole step.

    skin_logits [images, classes], labels [images] with −100 for unknown.
    """
    if not bool((labels != NO_LABEL).any()):
        return None
    return functional.cross_entropy(skin_logits, labels, ignore_index=NO_LABEL, reduction="sum") / count
