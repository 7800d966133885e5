"""Weight files read once, in pieces: hashes of files and tensors, and tensors that are not numbers.

A gigabyte takes about a second on one core (SHA-256); files are read side by side.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelhub.ml.checkpoint_files import CheckpointError, combine_hashes
from modelhub.ml.safetensors_header import StoredTensor, read_header

PIECE = 1 << 22
# all exponent bits set: infinite or not a number
EXPONENTS: dict[str, tuple[Any, int]] = {
    "F32": (np.uint32, 0x7F800000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F64": (np.uint64, 0x7FF0000000000000),
}
POLL_S = 0.5


@dataclass(frozen=True)
class Reading:
    """`sha256`: of the whole file; `tensors`: name → SHA-256 over dtype, shape and bytes (empty unless asked for);
    `broken`: names of tensors that hold an infinite value or none at all."""

    file: Path
    size: int
    sha256: str
    tensors: dict[str, str]
    broken: tuple[str, ...]


def read_weights(
    paths: Sequence[Path], *, hash_tensors: bool = False, on_bytes: Callable[[int], None] | None = None
) -> list[Reading]:
    """Read files side by side. `on_bytes` gets the bytes read so far, in this thread; what it raises ends the reading.

    Raises CheckpointError as `read_header` does.
    """
    headers = {path: read_header(path) for path in paths}
    done, stop = dict.fromkeys(paths, 0), threading.Event()

    def read(path: Path) -> Reading:
        return _read(path, headers[path], hash_tensors, done, stop)

    with ThreadPoolExecutor(max_workers=min(len(paths), os.cpu_count() or 1)) as pool:
        futures = [pool.submit(read, path) for path in paths]
        try:
            ended = False
            while not ended:
                finished, left = wait(futures, timeout=POLL_S, return_when=FIRST_EXCEPTION)
                ended = not left or any(future.exception() for future in finished)
                if on_bytes:
                    on_bytes(sum(done.values()))
            return [future.result() for future in futures]
        finally:
            stop.set()


def _read(
    path: Path, header: Mapping[str, StoredTensor], hash_tensors: bool, done: dict[Path, int], stop: threading.Event
) -> Reading:
    whole = hashlib.sha256()
    tensors: dict[str, str] = {}
    broken = []
    buffer = bytearray(PIECE)
    with path.open("rb", buffering=0) as stream:
        position = min((tensor.begin for tensor in header.values()), default=0)
        whole.update(stream.read(position))
        for name, tensor in header.items():
            own = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}\n".encode()) if hash_tensors else None
            finite = True
            for piece in _pieces(stream, buffer, tensor.end - tensor.begin, path):
                if stop.is_set():
                    break
                whole.update(piece)
                if own:
                    own.update(piece)
                finite = finite and is_finite(piece, tensor.dtype)
                done[path] += len(piece)
            if own:
                tensors[name] = own.hexdigest()
            if not finite:
                broken.append(name)
        size = stream.tell()
    return Reading(path, size, whole.hexdigest(), tensors, tuple(broken))


def _pieces(stream: Any, buffer: bytearray, length: int, path: Path) -> Iterator[memoryview]:
    view = memoryview(buffer)
    while length:
        wanted = filled = min(length, PIECE)
        filled = 0
        while filled < wanted:
            count = stream.readinto(view[filled:wanted])
            if not count:
                raise CheckpointError(f"{path} became shorter while it was read")
            filled += count
        length -= wanted
        yield view[:wanted]


def is_finite(piece: memoryview, dtype: str) -> bool:
    """Whether every number of a run of bytes is one; whole numbers always are."""
    if dtype not in EXPONENTS:
        return True
    kind, exponent = EXPONENTS[dtype]
    values = np.frombuffer(piece, dtype=kind)
    return not values.size or int((values & kind(exponent)).max()) != exponent


def check_finite(readings: Sequence[Reading]) -> None:
    """Raises CheckpointError naming file and tensors that hold an infinite value or none at all."""
    if found := [f"{', '.join(reading.broken)} in {reading.file}" for reading in readings if reading.broken]:
        raise CheckpointError(f"not a number, or infinite: {'; '.join(found)}")


def weights_sha256(readings: Sequence[Reading]) -> str:
    """One SHA-256 for all weights, as `hash_weights` gives it."""
    return combine_hashes({reading.file.name: reading.sha256 for reading in readings})
