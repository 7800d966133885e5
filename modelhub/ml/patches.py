"""Pictures prepared ahead by worker processes, and their way into the numbers that the model reads."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelhub.ml import patch_worker
from modelhub.ml.patch_worker import CHANNELS, UNREADABLE, Patches, PatchRule, read_patches

MOST_WORKERS = 8
MOST_KEPT_BYTES = 4_000_000_000  # of prepared pictures on disk: about 1,300 of the largest
PRUNE_EVERY = 256  # pictures


class PictureError(OSError):
    """A picture that cannot be used; the message names the file and the reason."""


def patch_rule(image_processor: Any, min_pixels: int | None = None, max_pixels: int | None = None) -> PatchRule:
    """How a checkpoint's image processor cuts pictures; bounds that are given narrow its own and never widen them."""
    own = image_processor.size["shortest_edge"], image_processor.size["longest_edge"]
    low, high = (max(own[0], min(own[1], bound)) for bound in (min_pixels or own[0], max_pixels or own[1]))
    return PatchRule(
        patch=image_processor.patch_size,
        merge=image_processor.merge_size,
        min_pixels=low,
        max_pixels=high,
        resample=int(image_processor.resample),
    )


class PixelTable:
    """What the image processor makes of each of the 256 values of each channel, as it computes it."""

    def __init__(self, image_processor: Any) -> None:
        values = np.broadcast_to(np.arange(256, dtype=np.uint8), (CHANNELS, 1, 256))
        if image_processor.do_rescale:
            values = image_processor.rescale(values, image_processor.rescale_factor)
        if image_processor.do_normalize:
            values = image_processor.normalize(values, image_processor.image_mean, image_processor.image_std)
        self.table = torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(-1))
        self.frames: int = image_processor.temporal_patch_size

    def to_pixel_values(self, patches: Tensor) -> Tensor:
        """[patches, 3 · patch²] bytes to the processor's float32 [patches, 3 · frames · patch²], on the same device."""
        table = self.table.to(patches.device)
        by_channel = patches.view(len(patches), CHANNELS, -1)
        offsets = torch.arange(0, 256 * CHANNELS, 256, device=patches.device, dtype=torch.int32)[:, None]
        values = table[by_channel.int() + offsets]
        return values[:, :, None].expand(-1, -1, self.frames, -1).reshape(len(patches), -1)


class PatchWorkers:
    """Processes that prepare pictures, each fed by a thread of its own; started when first asked.

    They run a script of their own that needs no torch, and end when this process does, however it ends.
    """

    def __init__(self, *, cache: Path | None = None, workers: int | None = None) -> None:
        self.cache = cache
        self.count = workers or max(1, min(MOST_WORKERS, (os.cpu_count() or 2) - 1))
        self._own = threading.local()
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = False
        self._asked = 0

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="pictures")

    def submit(self, path: Path, rule: PatchRule) -> Future[Patches]:
        """The picture's patches in a while. The future raises PictureError. Raises RuntimeError once closed."""
        if self._closed:
            raise RuntimeError("these workers were closed")
        if self.cache is not None and self._asked % PRUNE_EVERY == 0:
            self._threads.submit(patch_worker.prune, self.cache, MOST_KEPT_BYTES)
        self._asked += 1
        return self._threads.submit(self._prepare, path, rule)

    def _prepare(self, path: Path, rule: PatchRule) -> Patches:
        for _ in range(2):  # a worker that was killed is replaced once
            try:
                return self._ask(path, rule)
            except (BrokenPipeError, EOFError):
                self._own.process = None
        raise PictureError(f"{path.name} cannot be opened: the process that prepares pictures was stopped twice")

    def _ask(self, path: Path, rule: PatchRule) -> Patches:
        process = getattr(self._own, "process", None) or self._start()
        assert process.stdin and process.stdout
        line = json.dumps({"path": str(path), "cache": str(self.cache) if self.cache else None} | asdict(rule))
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        head = process.stdout.readline()
        if not head.endswith(b"\n"):
            raise EOFError
        answer = json.loads(head)
        if "error" in answer:
            raise PictureError(f"{path.name} cannot be read as an image: {answer['error']}")
        body = process.stdout.read(answer["size"])
        if len(body) != answer["size"]:
            raise EOFError
        rows = answer["grid"][1] * answer["grid"][2]
        return np.frombuffer(body, dtype=np.uint8).reshape(rows, -1), tuple(answer["grid"])

    def _start(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise PictureError("the work was ended")
        script = str(Path(patch_worker.__file__))
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        # -P: the script's folder is not searched, so that no module beside it can stand in for a library's
        command = [sys.executable, "-P", script]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._own.process = process
        self._running.append(process)
        return process

    def close(self) -> None:
        """End the processes for good; what was asked for and not begun is dropped."""
        self._closed = True
        if "_threads" not in self.__dict__:
            return
        for process in self._running:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._running:
            process.communicate()
        self._running.clear()
        del self._threads


def read_here(path: Path, rule: PatchRule, cache: Path | None) -> Patches:
    """The same in this process, for a few pictures. Raises PictureError."""
    try:
        return read_patches(path, rule, cache)
    except UNREADABLE as error:
        raise PictureError(f"{path.name} cannot be read as an image: {error}") from error
