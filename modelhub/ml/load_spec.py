"""What to load and how, every field checked before anything is read."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelhub.ml.hub_files import HubModel
from modelhub.ml.skingpt import BIAS_MODES, BiasMode

Precision = Literal["float32", "bfloat16", "float16"]
Quantisation = Literal["none", "4bit"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
PRECISIONS = ("float32", "bfloat16", "float16")
QUANTISATIONS = ("none", "4bit")
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class LoadSpec:
    """What to load and how.

    `source`: checkpoint folder, or a model on the hub. `adapter`: folder that training wrote, or None. `bias_mode` None
    takes what the branch was trained with (recorded beside it), `all_steps` where nothing is recorded, `off` without a
    branch. `manifest`: file of SHA-256 lines to hold the files against; None takes the one beside them, if any.
    `quantisation` "4bit" needs bitsandbytes and a CUDA card; the branch and `lm_head` stay as they are.
    """

    source: Path | HubModel
    adapter: Path | None = None
    precision: Precision = "float32"
    device: str = "cpu"
    attention: Attention = "sdpa"
    bias_mode: BiasMode | None = None
    quantisation: Quantisation = "none"
    manifest: Path | None = None

    def __post_init__(self) -> None:
        self._one_of("precision", PRECISIONS)
        self._one_of("attention", ATTENTIONS)
        self._one_of("quantisation", QUANTISATIONS)
        if self.bias_mode is not None:
            self._one_of("bias_mode", BIAS_MODES)
        if not DEVICE.fullmatch(self.device):
            raise ValueError(f"device is {self.device!r}, must be cpu, mps, cuda or cuda:N")
        if self.quantisation == "4bit" and not self.device.startswith("cuda"):
            raise ValueError(f"quantisation 4bit needs a CUDA card, device is {self.device!r}")

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> None:
        if (value := getattr(self, name)) not in allowed:
            raise ValueError(f"{name} is {value!r}, must be one of {', '.join(allowed)}")


def check_machine(spec: LoadSpec) -> None:
    """Raises ValueError where this machine lacks what the spec asks for."""
    import torch

    if spec.device.startswith("cuda"):
        number = int(spec.device.partition(":")[2] or 0)
        if number >= (found := torch.cuda.device_count()):
            raise ValueError(f"device {spec.device} is asked for, but torch sees {found} CUDA cards")
    if spec.device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device mps is asked for, but torch sees none")
    if spec.quantisation == "4bit" and not importlib.util.find_spec("bitsandbytes"):
        raise ValueError("quantisation 4bit needs the package bitsandbytes: `pip install bitsandbytes`, or choose none")
    if spec.attention == "flash_attention_2" and not importlib.util.find_spec("flash_attn"):
        raise ValueError("attention flash_attention_2 needs the package flash-attn: install it, or choose sdpa")
