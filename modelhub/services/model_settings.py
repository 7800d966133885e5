"""Settings of generation and training as forms send them, checked without loading torch.

The defaults of both are the published ones (SkinGPT-R1, arXiv 2511.15242); a model that knows only drawn lesions gets
smaller ones, which it was measured with.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.core.exceptions import ValidationError

from modelhub.ml.backends.base import EVALUATION
from modelhub.models import ModelVersion


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high``, both included unless ``open_low``; whole where ``whole``; ``None`` where
    ``optional``."""

    low: float
    high: float
    whole: bool = False
    open_low: bool = False
    optional: bool = False

    def check(self, name: str, value: Any) -> Any:
        if value is None and self.optional:
            return None
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self._fits(value):
            kind = "a whole number" if self.whole else "a number"
            low = f"above {self.low:g}" if self.open_low else f"from {self.low:g}"
            raise ValidationError({name: f"“{name}” takes {kind} {low} to {self.high:g}."})
        return value

    def _fits(self, value: float) -> bool:
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high


@dataclass(frozen=True)
class Choice:
    values: tuple[Any, ...]

    def check(self, name: str, value: Any) -> Any:
        if value not in self.values:
            known = ", ".join("none" if v is None else str(v) for v in self.values)
            raise ValidationError({name: f"“{name}” takes one of: {known}."})
        return value


GENERATION_RULES: dict[str, Number | Choice] = {
    "do_sample": Choice((True, False)),
    "temperature": Number(0, 5, open_low=True),
    "top_p": Number(0, 1, open_low=True),
    "repetition_penalty": Number(0, 5, open_low=True),
    "no_repeat_ngram": Number(0, 100, whole=True),
    "max_new_tokens": Number(1, 16_384, whole=True),
    "min_pixels": Number(784, 12_845_056, whole=True, optional=True),
    "max_pixels": Number(784, 12_845_056, whole=True, optional=True),
    "seed": Number(0, 2**32 - 1, whole=True),
    "batch_size": Number(1, 512, whole=True),
    "bias_mode": Choice((None, "off", "first_token", "all_steps")),
}
GENERATION_DEFAULTS: dict[str, Any] = asdict(EVALUATION) | {"bias_mode": None}
SYNTHETIC_GENERATION: dict[str, Any] = {
    "do_sample": False,
    "max_new_tokens": 256,
    "min_pixels": None,
    "max_pixels": None,
}

TRAINING_RULES: dict[str, Number | Choice] = {
    "recipe": Choice(("lora", "dual_distillation", "both")),
    "epochs": Number(1, 1000, whole=True),
    "lr": Number(0, 0.1, open_low=True),
    "rank": Number(1, 512, whole=True),
    "alpha": Number(1, 1024, whole=True),
    "batch": Number(1, 512, whole=True),
    "grad_accumulation": Number(1, 1024, whole=True),
    "warmup": Number(0, 0.9),
    "weight_decay": Number(0, 1),
    "max_grad_norm": Number(0, 100, open_low=True),
    "seed": Number(0, 2**32 - 1, whole=True),
    "max_length": Number(16, 131_072, whole=True),
    "checkpoint_every_steps": Number(1, 100_000, whole=True),
}
TRAINING_DEFAULTS: dict[str, Any] = {
    "recipe": "lora",
    "epochs": 10,
    "lr": 1e-4,
    "rank": 16,
    "alpha": 32,
    "batch": 8,
    "grad_accumulation": 16,
    "warmup": 0.03,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "seed": 42,
    "max_length": 4096,
    "checkpoint_every_steps": 50,
}
SYNTHETIC_TRAINING: dict[str, Any] = {"lr": 1e-3, "grad_accumulation": 1, "checkpoint_every_steps": 10}


def generation_settings(model: ModelVersion, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete, checked generation settings for a model. Raises ``ValidationError`` keyed by setting."""
    defaults = GENERATION_DEFAULTS | (SYNTHETIC_GENERATION if model.synthetic else {})
    complete = check_settings(GENERATION_RULES, defaults, given or {})
    if complete["min_pixels"] and complete["max_pixels"] and complete["min_pixels"] > complete["max_pixels"]:
        raise ValidationError({"min_pixels": "“min_pixels” is more than “max_pixels”."})
    return complete


def training_settings(base: ModelVersion, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete, checked training settings for a base. Raises ``ValidationError`` keyed by setting."""
    defaults = TRAINING_DEFAULTS | (SYNTHETIC_TRAINING if base.synthetic else {})
    return check_settings(TRAINING_RULES, defaults, given or {})


def check_settings(
    rules: Mapping[str, Number | Choice], defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Every setting of ``rules``, the given ones in place of the defaults. Raises ``ValidationError``."""
    unknown = sorted(set(given) - set(rules))
    if unknown:
        raise ValidationError(f"Unknown settings: {', '.join(unknown)}. Known are {', '.join(rules)}.")
    return {name: rule.check(name, given.get(name, defaults[name])) for name, rule in rules.items()}
