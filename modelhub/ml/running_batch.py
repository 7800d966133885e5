"""Requests that share the model's steps: a place is free as soon as its text is complete, and goes to the next one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from modelhub.ml.backends.base import GenerationSettings, Output
from modelhub.ml.decoder import Decoder
from modelhub.ml.loading import LoadedModel
from modelhub.ml.prepare import Prepared, Preparer
from modelhub.ml.reading import TextReader
from modelhub.ml.sampling import Sampler

TOGETHER = 4  # prompts are read for a quarter of the places at a time: one by one they cost more
OnToken = Callable[[str, list[int]], None]


class Source(Protocol):
    """Where requests come from."""

    def ready(self, count: int) -> bool:
        """Whether the next `count` requests, or all that are left, can be had without waiting."""

    def next(self) -> Prepared | None:
        """The next request, None when there is none any more."""


@dataclass
class Row:
    """A request in work; `seconds`: its share of the time so far."""

    prepared: Prepared
    written: list[int] = field(default_factory=list)
    seconds: float = 0.0


class RunningBatch:
    """`rows`: the requests in work by place."""

    def __init__(
        self,
        loaded: LoadedModel,
        settings: GenerationSettings,
        preparer: Preparer,
        places: int,
        source: Source,
        on_token: OnToken | None = None,
    ) -> None:
        self.loaded, self.settings, self.preparer = loaded, settings, preparer
        self.source, self.on_token = source, on_token
        self.rows: list[Row | None] = [None] * places
        self.more = True  # as far as is known
        on_card = loaded.model.device.type == "cuda"
        self.decoder = Decoder(loaded.model, places, graphs=on_card)
        self.sampler = Sampler(settings, places, self.decoder.logits.shape[1], loaded.model.device)
        self.shrinks = not on_card  # there a step hardly gets cheaper, and would have to be recorded anew
        self.reader = TextReader(loaded)

    def work(self) -> Iterator[list[Output]]:
        """The texts that each step completed, until nothing is in work. An error of the model leaves `rows` as is."""
        while True:
            began = time.perf_counter()
            self._admit()
            working = {place: row for place, row in enumerate(self.rows) if row is not None}
            if not working:
                return
            tokens = self._choose(working)
            gone = {place: row for place, row in working.items() if self._complete(row)}
            if gone:
                self.decoder.release([*gone])
            if left := [place for place in working if place not in gone]:
                self.decoder.step(tokens, longest=max(self._column(working[place]) for place in left))
            for row in working.values():
                row.seconds += (time.perf_counter() - began) / len(working)
            for place in gone:
                self.rows[place] = None
            yield [self._output(row) for row in gone.values()]
            self._shrink(left)

    def _admit(self) -> None:
        """Give free places to requests whose pictures are there, and read their prompts."""
        free = [place for place, row in enumerate(self.rows) if row is None]
        together = max(1, len(self.rows) // TOGETHER)
        idle = len(free) == len(self.rows)
        if not self.more or len(free) < together or not (idle or self.source.ready(together)):
            return
        fresh: dict[int, Prepared] = {}
        for place in free:
            if len(fresh) >= together and not self.source.ready(1):
                break
            if (prepared := self.source.next()) is None:
                self.more = False
                break
            self.rows[place], fresh[place] = Row(prepared), prepared
        if not fresh:
            return
        for place, prepared in fresh.items():
            self.sampler.admit(place, prepared.request.id, prepared.ids)
        batch = self.preparer.to_batch([*fresh.values()], self.loaded.model.device)
        self.decoder.admit([*fresh], batch)

    def _choose(self, working: dict[int, Row]) -> Tensor:
        """Write down each row's next token; the tokens of all places, [places]."""
        device = self.decoder.tokens.device
        places = torch.tensor([*working], device=device)
        steps = torch.tensor([len(row.written) for row in working.values()], device=device)
        chosen = self.sampler.choose(self.decoder.logits[places], places, steps)
        for row, token in zip(working.values(), chosen.tolist(), strict=True):
            row.written.append(token)
            if self.on_token is not None:
                self.on_token(row.prepared.request.id, row.written)
        return torch.zeros_like(self.decoder.tokens).index_copy(0, places, chosen)

    def _complete(self, row: Row) -> bool:
        return len(row.written) >= self.settings.max_new_tokens or self.reader.ended(row.written)

    def _column(self, row: Row) -> int:
        """Where the cache keeps the token just written."""
        return len(row.prepared.ids) + len(row.written) - 1

    def _output(self, row: Row) -> Output:
        return Output(
            id=row.prepared.request.id,
            text=self.reader.text(row.written),
            tokens=len(row.written),
            seconds=row.seconds,
            truncated=not self.reader.ended(row.written),
            details={"prompt_tokens": len(row.prepared.ids)},
        )

    def _shrink(self, left: list[int]) -> None:
        """Once nobody comes any more and half of the places are free, go on with the others only."""
        if self.shrinks and not self.more and 0 < len(left) <= len(self.rows) // 2:
            places = torch.tensor(left, device=self.decoder.tokens.device)
            self.decoder.keep(places)
            self.sampler.keep(places)
            self.rows = [self.rows[place] for place in left]
