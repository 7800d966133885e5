"""Requests on their way to the model: their lengths, their token ids, their pictures cut into patches ahead of use."""

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modelhub.ml.backends.base import Failure, GenerationSettings, Request
from modelhub.ml.patch_worker import Patches, resized
from modelhub.ml.patches import PatchWorkers, PictureError, PixelTable, patch_rule, read_here
from modelhub.ml.processor import ImageTextProcessor, image_size, prompt_ids

FEW_PICTURES = 4  # not worth a process of their own


@dataclass(frozen=True)
class Planned:
    """`visual`: merged visual tokens; `length`: tokens of the whole prompt."""

    request: Request
    visual: int
    length: int


@dataclass(frozen=True)
class Prepared:
    """`ids`: the whole prompt, each picture's token repeated; `pictures`: patches and grid of each, in order."""

    request: Request
    ids: list[int]
    pictures: tuple[Patches, ...]


class Preparer:
    """What turns requests into prompts, for one checkpoint and one pair of pixel bounds."""

    def __init__(
        self, processor: ImageTextProcessor, settings: GenerationSettings, workers: PatchWorkers | None = None
    ) -> None:
        self.processor = processor
        self.rule = patch_rule(processor.image_processor, settings.min_pixels, settings.max_pixels)
        self.pixels = PixelTable(processor.image_processor)
        self.workers = workers
        # most runs ask everything with the same words
        self._ids = lru_cache(maxsize=64)(lambda prompt, images: prompt_ids(processor, prompt, images))

    def plan(self, request: Request) -> Planned | Failure:
        """From the pictures' headers alone."""
        try:
            visual = sum(self._visual_tokens(path) for path in request.images)
        except PictureError as error:
            return Failure(request.id, "image", f"{error}.")
        ids = self._ids(request.prompt, len(request.images))
        return Planned(request, visual, len(ids) + visual - len(request.images))

    def _visual_tokens(self, path: Path) -> int:
        width, height = image_size(path)
        try:
            wide, high = resized(width, height, self.rule)
        except ValueError as error:
            raise PictureError(f"{path.name} cannot be used: {error}") from error
        return wide * high // (self.rule.patch * self.rule.merge) ** 2

    def prepare(self, request: Request) -> Prepared:
        """At once and in this process. Raises PictureError."""
        pictures = tuple(read_here(path, self.rule, None) for path in request.images)
        return Prepared(request, self._expand(request, pictures), pictures)

    def ahead(self, planned: Sequence[Planned], most_waiting: int) -> "Ahead":
        """Prepare these in the given order; at most `most_waiting` are held, in preparation or ready."""
        return Ahead(self, planned, most_waiting)

    def begin(self, images: Iterable[Path], few: bool) -> list[Future[Patches]]:
        if self.workers is not None and not few:
            return [self.workers.submit(path, self.rule) for path in images]
        done = []
        for path in images:
            future: Future[Patches] = Future()
            try:
                future.set_result(read_here(path, self.rule, self.workers.cache if self.workers else None))
            except PictureError as error:
                future.set_exception(error)
            done.append(future)
        return done

    def end(self, request: Request, futures: Sequence[Future[Patches]]) -> Prepared | Failure:
        """Waits for the pictures."""
        try:
            pictures = tuple(future.result() for future in futures)
        except PictureError as error:
            return Failure(request.id, "image", f"{error}.")
        return Prepared(request, self._expand(request, pictures), pictures)

    def _expand(self, request: Request, pictures: tuple[Patches, ...]) -> list[int]:
        """The image token as often as its picture has merged tokens."""
        sizes = iter([grid[1] * grid[2] // self.rule.merge**2 for _, grid in pictures])
        image = self.processor.image_token_id
        ids: list[int] = []
        for token in self._ids(request.prompt, len(pictures)):
            ids += [token] * next(sizes) if token == image else [token]
        return ids

    def to_batch(self, rows: Sequence[Prepared], device: torch.device) -> dict[str, Tensor]:
        """Left-padded, as `processor.encode_prompts` gives it, on `device`."""
        width = max(len(row.ids) for row in rows)
        pad_id = self.processor.tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad_id] * (width - len(row.ids)) + row.ids for row in rows])
        mask = torch.tensor([[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows])
        image = (ids == self.processor.image_token_id) & mask.bool()
        batch = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": image.to(torch.int64)}
        batch = {name: value.to(device) for name, value in batch.items()}
        if pictures := [picture for row in rows for picture in row.pictures]:
            patches = torch.from_numpy(np.concatenate([patches for patches, _ in pictures]))
            batch["pixel_values"] = self.pixels.to_pixel_values(patches.to(device))
            batch["image_grid_thw"] = torch.tensor([grid for _, grid in pictures], device=device)
        return batch


class Ahead:
    """Requests in preparation, handed out in their order."""

    def __init__(self, preparer: Preparer, planned: Sequence[Planned], most_waiting: int) -> None:
        self.preparer, self.most_waiting = preparer, most_waiting
        self.few = sum(len(one.request.images) for one in planned) <= FEW_PICTURES
        self._left = iter(planned)
        self._waiting: deque[tuple[Request, list[Future[Patches]]]] = deque()

    def ready(self, count: int) -> bool:
        """Whether the next `count` requests, or all that are left, would be handed out without waiting."""
        self._fill()
        return all(future.done() for _, futures in islice(self._waiting, count) for future in futures)

    def next(self) -> Prepared | Failure | None:
        """None when there is none any more."""
        self._fill()
        return self.preparer.end(*self._waiting.popleft()) if self._waiting else None

    def _fill(self) -> None:
        while len(self._waiting) < self.most_waiting and (one := next(self._left, None)) is not None:
            self._waiting.append((one.request, self.preparer.begin(one.request.images, self.few)))

    def close(self) -> None:
        """Drop what is not begun."""
        for _, futures in self._waiting:
            for future in futures:
                future.cancel()
        self._waiting.clear()
        self._left = iter(())
