"""What a training run may be told, refusing nonsense before anything is loaded."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

RECIPES = ("lora", "dual_distillation", "both")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class LossWeights:
    """Of the four terms; defaults are the published ones."""

    answer: float = 1.0
    distill: float = 0.1
    balance: float = 0.001
    skin: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"loss weight {name} must be 0 or more, it is {value!r}")


@dataclass(frozen=True)
class TrainSettings:
    """Defaults are the published ones: 10 epochs, learning rate 1e-4 (cosine, warm-up 3 %), 128 cases a step.

    `recipe`: `lora` trains low-rank matrices in the language model, `dual_distillation` the side branch by the paper's
    four losses, `both` both.
    A step sees `batch` · `grad_accumulation` cases. `warmup`: share of all steps. `max_length`: tokens of prompt, image
    and answer; a longer record is refused, not cut. `branch_sizes`: sizes of a branch made new (see SkinBranchConfig).
    """

    recipe: Literal["lora", "dual_distillation", "both"] = "lora"
    epochs: int = 10
    lr: float = 1e-4
    rank: int = 16
    alpha: int = 32
    batch: int = 8
    grad_accumulation: int = 16
    warmup: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 42
    max_length: int = 4096
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"
    checkpoint_every_steps: int = 50
    weights: LossWeights = field(default_factory=LossWeights)
    branch_sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe is {self.recipe!r}, must be one of {', '.join(RECIPES)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {', '.join(PRECISIONS)}")
        whole = ("epochs", "rank", "alpha", "batch", "grad_accumulation", "max_length", "checkpoint_every_steps")
        for name in whole:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, it is {value!r}")
        if not 0 < self.lr < 1:
            raise ValueError(f"lr must lie between 0 and 1 (published: 1e-4), it is {self.lr!r}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of all steps, 0 up to 1, it is {self.warmup!r}")
        if self.weight_decay < 0 or self.max_grad_norm <= 0:
            raise ValueError("weight_decay must be 0 or more and max_grad_norm above 0")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "TrainSettings":
        """Raises ValueError naming unknown keys."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise ValueError(f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        values = dict(raw)
        if isinstance(values.get("weights"), dict):
            try:
                values["weights"] = LossWeights(**values["weights"])
            except TypeError as error:
                raise ValueError("weights has the keys answer, distill, balance and skin") from error
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def trains_lora(self) -> bool:
        return self.recipe in ("lora", "both")

    @property
    def trains_branch(self) -> bool:
        return self.recipe in ("dual_distillation", "both")
