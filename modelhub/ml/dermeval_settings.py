"""What a training of DermEval may be told, refusing nonsense before anything is loaded."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from modelhub.ml.dermeval_format import PROMPT, fill_prompt

WHOLE = ("rank", "alpha", "batch", "max_length", "max_new_tokens", "checkpoint_every_steps", "sft_steps")


@dataclass(frozen=True)
class DermEvalSettings:
    """Two stages (arXiv 2511.09195). The paper publishes neither its learning rates nor its momentum; these are ours.

    Stage `sft`: `sft_steps` steps of `batch` critiques, learning rate `sft_lr`. Stage `rl`: `rl_steps` steps (0: leave
    the stage out), each of `batch` narratives with one sampled critique. Its reward is −(mean squared error over the
    dimensions that physicians scored), in squared points; a dimension without a readable number counts as an error of
    `unread_error` squared points (25: the whole scale). `momentum` of the moving baseline. Both stages warm up over the
    share `warmup` of their steps, then fall along a cosine. `prompt` holds the narrative's place. `fit_share` of the
    cases is held out from both stages, for the lines of the fitted reading (`dermeval_lines`).
    """

    prompt: str = PROMPT
    sft_steps: int = 600
    sft_lr: float = 2e-4
    rl_steps: int = 200
    rl_lr: float = 2e-5
    momentum: float = 0.9
    unread_error: float = 25.0
    temperature: float = 1.0
    fit_share: float = 0.15
    batch: int = 16
    rank: int = 16
    alpha: int = 32
    warmup: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 4096
    max_new_tokens: int = 512
    seed: int = 42
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"
    checkpoint_every_steps: int = 50

    def __post_init__(self) -> None:
        fill_prompt(self.prompt, "")
        for name in (*WHOLE, "rl_steps"):
            value, least = getattr(self, name), 0 if name == "rl_steps" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, it is {value!r}")
        for name in ("sft_lr", "rl_lr"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, it is {getattr(self, name)!r}")
        for name in ("momentum", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie from 0 up to 1, it is {getattr(self, name)!r}")
        if not 0 < self.unread_error <= 25:
            raise ValueError(f"unread_error lies above 0 and up to 25 squared points, it is {self.unread_error!r}")
        if not 0 <= self.fit_share <= 0.5:
            raise ValueError(f"fit_share must lie from 0 to 0.5, it is {self.fit_share!r}")
        if self.temperature <= 0 or self.weight_decay < 0 or self.max_grad_norm <= 0:
            raise ValueError("temperature and max_grad_norm must be above 0, weight_decay 0 or more")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision is {self.precision!r}, must be float32 or bfloat16")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "DermEvalSettings":
        """Raises ValueError naming unknown keys."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise ValueError(f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**raw)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
