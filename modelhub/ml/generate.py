"""Narratives from images and prompts; what is written depends on the request and the settings, not on its neighbours.

(Neighbours move logits by float rounding only: in float32 about 1e-6.)
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence

import torch

from modelhub.ml.backends.base import Failure, GenerationSettings, Output, Request, Tick, check_ids
from modelhub.ml.loading import LoadedModel
from modelhub.ml.patches import PatchWorkers
from modelhub.ml.prepare import Planned, Prepared, Preparer
from modelhub.ml.running_batch import OnToken, Row, RunningBatch

logger = logging.getLogger(__name__)


def generate(
    loaded: LoadedModel,
    requests: Sequence[Request],
    settings: GenerationSettings,
    *,
    workers: PatchWorkers | None = None,
    tick: Tick | None = None,
    on_token: OnToken | None = None,
) -> Iterator[Output | Failure]:
    """One output or failure per request as each is known, largest pictures first (so a lack of memory shows at once).

    `workers` prepare the pictures; without them this process does. `tick` is called after each step, `on_token` with a
    request's id and all tokens written so far. Raises ValueError for two requests with one id.
    """
    check_ids(requests)
    preparer = Preparer(loaded.processor, settings, workers)
    planned: list[Planned] = []
    for request in requests:
        plan = preparer.plan(request)
        if isinstance(plan, Failure):
            yield plan
        else:
            planned.append(plan)
    planned.sort(key=lambda plan: (-plan.visual, -plan.length, plan.request.id))
    writing = Writing(loaded, settings, preparer, planned, on_token)
    try:
        for results in writing.results():
            yield from results
            if tick is not None:
                tick()
    finally:
        writing.ahead.close()


class Writing:
    """The work on one list of requests; what fails for lack of memory is tried again with fewer at once."""

    def __init__(
        self,
        loaded: LoadedModel,
        settings: GenerationSettings,
        preparer: Preparer,
        planned: Sequence[Planned],
        on_token: OnToken | None,
    ) -> None:
        self.loaded, self.settings, self.preparer, self.on_token = loaded, settings, preparer, on_token
        self.left = len(planned)
        self.most = settings.batch_size  # places
        self.ahead = preparer.ahead(planned, 2 * settings.batch_size)
        self.again: deque[Prepared] = deque()
        self.failed: list[Output | Failure] = []

    def results(self) -> Iterator[list[Output | Failure]]:
        """What each step brought, mostly nothing."""
        while self.left:
            batch = None
            try:
                batch = RunningBatch(
                    self.loaded, self.settings, self.preparer, min(self.most, self.left), self, self.on_token
                )
                for outputs in batch.work():
                    yield self._count([*outputs])
            except (RuntimeError, MemoryError, ValueError) as error:
                in_work = [row for row in batch.rows if row is not None] if batch else []
                if not in_work:
                    raise  # no request's fault
                batch = None
                self._retreat(in_work, error)
            yield self._count([])

    def _count(self, results: list[Output | Failure]) -> list[Output | Failure]:
        results += self.failed
        self.failed = []
        self.left -= len(results)
        return results

    def ready(self, count: int) -> bool:
        return self.ahead.ready(count - len(self.again)) if count > len(self.again) else True

    def next(self) -> Prepared | None:
        if self.again:
            return self.again.popleft()
        while isinstance(coming := self.ahead.next(), Failure):
            self.failed.append(coming)
        return coming

    def _retreat(self, in_work: list[Row], error: Exception) -> None:
        """Start what was in work again with half as many places; what fails alone has failed."""
        logger.warning("%s with %s requests in work", type(error).__name__, len(in_work), exc_info=error)
        error.__traceback__ = None  # its frames hold the tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(in_work) == 1:
            self.failed.append(failure_of(in_work[0].prepared.request, error))
            self.most = self.settings.batch_size
            return
        self.most = len(in_work) // 2
        # whoever came last is the likeliest cause and goes first, so that it is soon alone
        self.again.extendleft(row.prepared for row in sorted(in_work, key=lambda row: -len(row.written)))


def failure_of(request: Request, error: Exception) -> Failure:
    """A sentence for a request that failed by itself."""
    if is_out_of_memory(error):
        return Failure(request.id, "memory", "The memory is too small for this request. Use fewer tokens or pixels.")
    sentence = f"The model refused this request ({type(error).__name__}). The log has the details."
    return Failure(request.id, "model", sentence)


def is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "not enough memory" in str(error))
