"""Changing the tensors of a file."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import Tensor


def read(file: Path) -> dict[str, Tensor]:
    return load_bytes(file.read_bytes())


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = read(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})


def drop(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(next(key for key in sorted(state) if key.endswith(name)))
