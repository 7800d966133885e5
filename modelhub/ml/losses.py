"""The four terms of SkinGPT-R1's objective, each unweighted, each over the samples that can have it.

total = answer · CE + distill · [10 · mean(1 − cos)] + balance · aux + skin · CE(skin). A term without any input is
None: it is not zero, and it is not added. Source: arXiv 2511.15242, revision of September 2026.
"""

from dataclasses import asdict, dataclass

from torch import Tensor
from torch.nn import functional

NO_LABEL = -100
DISTILL_FACTOR = 10.0


@dataclass(frozen=True)
class LossWeights:
    answer: float = 1.0
    distill: float = 0.1
    balance: float = 0.001
    skin: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"loss weight {name} must be 0 or more, it is {value!r}")


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
        terms = {"answer": self.answer, "distill": self.distill, "balance": self.balance, "skin": self.skin}
        return {name: None if term is None else float(term.detach()) for name, term in terms.items()}


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over answer tokens: logits [tokens, vocabulary], targets [tokens]."""
    return functional.cross_entropy(logits.float(), targets)


def distillation_loss(vision_proj: Tensor, teacher: Tensor, present: Tensor) -> Tensor | None:
    """10 · mean(1 − cos) over the images whose teacher features are present; [images, width] twice, bool [images]."""
    if not bool(present.any()):
        return None
    cosine = functional.cosine_similarity(vision_proj[present], teacher[present], dim=-1)
    return DISTILL_FACTOR * (1 - cosine).mean()


def skin_loss(skin_logits: Tensor, labels: Tensor) -> Tensor | None:
    """Cross-entropy over the images with a label: [images, classes], [images] with −100 for unknown."""
    if not bool((labels != NO_LABEL).any()):
        return None
    return functional.cross_entropy(skin_logits, labels, ignore_index=NO_LABEL)
